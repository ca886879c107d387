"""Runs all tests in four parts at the same time, each on servers of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import FrameType

JOURNEYS = ("tests/journeys", "tools/devkit/tests")
SERVICES = ("services",)
WHOLE = ("tests",)
"""What looks at the project as a whole. Each part takes about as long as the rest, which is shared
code and the command."""


def main() -> int:
    """Run plain pytest if there are arguments, else all parts; returns pytest's exit code."""
    if sys.argv[1:]:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    Path(".run").mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, _leave)
    parts: list[Part] = []
    try:
        for name, arguments in _background().items():
            parts.append(Part(name, arguments, Path(f".run/tests-{name}.log")))
        parts.append(Part("the rest", _rest()))
        return max([part.shown() for part in reversed(parts)])
    finally:
        for part in parts:
            part.end()


class Part:
    """Tests of a process of their own; in the background, their output is kept in a file."""

    def __init__(self, name: str, arguments: list[str], log: Path | None = None) -> None:
        self.name = name
        self.log = log
        self.started = time.monotonic()
        command = [sys.executable, "-m", "pytest", *arguments]
        if log is None:
            self.run = subprocess.Popen(command)
            return
        with log.open("w") as output:
            self.run = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        sys.stdout.write(f"{name} run at the same time; see {log}\n")
        sys.stdout.flush()

    def shown(self) -> int:
        """Wait for the end, print the output and return pytest's exit code."""
        code = self.run.wait()
        if self.log is not None:
            sys.stdout.write(f"\n{self.log.read_text()}")
        sys.stdout.write(f"{self.name}: done after {time.monotonic() - self.started:.0f} s\n")
        sys.stdout.flush()
        return code

    def end(self) -> None:
        """End what still runs as an interrupt does: its servers end with it."""
        self.run.send_signal(signal.SIGINT)
        self.run.wait()


def _background() -> dict[str, list[str]]:
    """The arguments of the parts that do not print as they go."""
    return {
        "journeys": [*JOURNEYS],
        "services": [*SERVICES],
        "whole": [*WHOLE, *_without(JOURNEYS)],
    }


def _rest() -> list[str]:
    """The arguments for all other tests.

    A folder of `testpaths` is left out by its name: pytest does not ignore what it is given.
    """
    settings = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = [path for path in settings["testpaths"] if path not in (*SERVICES, *WHOLE)]
    return [*folders, *_without(JOURNEYS)]


def _without(paths: tuple[str, ...]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def _leave(signum: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    raise SystemExit(main())
