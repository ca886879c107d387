"""Runs all tests in three parts at the same time, each on servers of its own."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path

JOURNEYS = ("tests/journeys", "tools/devkit/tests")
SERVICES = ("services",)
"""Each part takes about as long as the rest: shared code, tools and the other tests."""


def main() -> int:
    """Run plain pytest if there are arguments, else all parts; returns pytest's exit code."""
    if sys.argv[1:]:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    Path(".run").mkdir(exist_ok=True)
    started = time.monotonic()
    parts = [Part("journeys", JOURNEYS), Part("services", SERVICES)]
    try:
        code = subprocess.call(_pytest(*_rest()))
        sys.stdout.write(f"the rest took {time.monotonic() - started:.0f} s\n")
        return max([code, *(part.shown() for part in parts)])
    finally:
        for part in parts:
            part.end()


class Part:
    """Tests that run in the background; their output is kept in a file until they have ended."""

    def __init__(self, name: str, paths: tuple[str, ...]) -> None:
        self.name = name
        self.started = time.monotonic()
        self.log = Path(f".run/tests-{name}.log")
        with self.log.open("w") as output:
            self.run = subprocess.Popen(_pytest(*paths), stdout=output, stderr=subprocess.STDOUT)
        sys.stdout.write(f"{' and '.join(paths)} run at the same time; see {self.log}\n")
        sys.stdout.flush()

    def shown(self) -> int:
        """Wait for the end, print the output and return pytest's exit code."""
        code = self.run.wait()
        sys.stdout.write(f"\n{self.log.read_text()}")
        sys.stdout.write(f"{self.name} ended after {time.monotonic() - self.started:.0f} s\n")
        return code

    def end(self) -> None:
        """End what still runs, as after an interrupt."""
        self.run.terminate()
        self.run.wait()


def _rest() -> list[str]:
    """The arguments for all other tests.

    A folder of `testpaths` is left out by its name: pytest does not ignore what it is given.
    """
    settings = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = [path for path in settings["testpaths"] if path not in SERVICES]
    return [*folders, *(f"--ignore={path}" for path in JOURNEYS)]


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    raise SystemExit(main())
