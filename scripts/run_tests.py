"""Runs all tests in two halves at the same time, each on servers of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SECOND_HALF = ("tests/journeys", "tools/devkit/tests", "tests/permissions", "tests/security")
"""The journeys, and tests that start servers of their own: both halves take about as long."""


def main() -> int:
    """Run plain pytest if there are arguments, else both halves; returns pytest's exit code."""
    if sys.argv[1:]:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    started = time.monotonic()
    log = Path(".run/second-half.log")
    log.parent.mkdir(exist_ok=True)
    sys.stdout.write(f"{' and '.join(SECOND_HALF)} run at the same time; see {log}\n")
    sys.stdout.flush()
    with log.open("w") as output:
        second = subprocess.Popen(_pytest(*SECOND_HALF), stdout=output, stderr=subprocess.STDOUT)
        try:
            first_code = subprocess.call(_pytest(*(f"--ignore={path}" for path in SECOND_HALF)))
            first_seconds = time.monotonic() - started
            second_code = second.wait()
        finally:
            second.terminate()
            second.wait()
    sys.stdout.write(f"\n{log.read_text()}")
    sys.stdout.write(f"both halves took {time.monotonic() - started:.0f} s")
    sys.stdout.write(f", the first of them {first_seconds:.0f} s\n")
    return first_code or second_code


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    raise SystemExit(main())
