"""Runs every test file by itself: a file that passes only after others does not pass."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOTS = ("shared/tests", "services", "tools", "tests")
NEEDS_AN_ENGINE = ("tests/compose", "test_containers.py", "test_full_disk.py")
"""Left out: the CI job that has a Docker engine runs each of these by a command of its own."""
NO_TESTS = 5
"""The exit code of pytest where it found no test."""


def main() -> int:
    """Run the files or folders that are named, else all; the exit code is 1 if any fails."""
    failed = [file for file in files(sys.argv[1:] or ROOTS) if not passes(file)]
    sys.stdout.write("".join(f"fails alone: {file}\n" for file in failed) or "each file passes\n")
    return 1 if failed else 0


def files(named: list[str] | tuple[str, ...]) -> list[Path]:
    """The test files among these files and folders, sorted."""
    found = {
        file
        for path in map(Path, named)
        for file in ([path] if path.is_file() else path.rglob("test_*.py"))
    }
    return sorted(file for file in found if not any(part in str(file) for part in NEEDS_AN_ENGINE))


def passes(file: Path) -> bool:
    """Run a file and print how long it took; its output is printed where it fails."""
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    is_good = run.returncode in (0, NO_TESTS)
    verdict = "passes" if is_good else "FAILS"
    sys.stdout.write(f"{verdict} {time.monotonic() - started:6.1f} s  {file}\n")
    sys.stdout.write("" if is_good else run.stdout)
    sys.stdout.flush()
    return is_good


if __name__ == "__main__":
    raise SystemExit(main())
