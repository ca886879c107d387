"""Runs every test: the journeys beside all the others, each half on servers of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

JOURNEYS = "tests/journeys"


def main() -> int:
    """With arguments, pytest as it is; without, both halves at once. Non-zero if either fails."""
    if sys.argv[1:]:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    started = time.monotonic()
    log = Path(".run/journeys.log")
    log.parent.mkdir(exist_ok=True)
    sys.stdout.write(f"the journeys run beside this half; their output follows it ({log})\n")
    sys.stdout.flush()
    with log.open("w") as output:
        journeys = subprocess.Popen(_pytest(JOURNEYS), stdout=output, stderr=subprocess.STDOUT)
        try:
            others = subprocess.call(_pytest(f"--ignore={JOURNEYS}"))
            told = journeys.wait()
        finally:
            journeys.terminate()
            journeys.wait()
    sys.stdout.write(f"\n{log.read_text()}")
    sys.stdout.write(f"both halves took {time.monotonic() - started:.0f} s\n")
    return others or told


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    raise SystemExit(main())
