"""The heartbeat of a process, and ending a process whose heartbeat stands still.

The watchdog of a process writes it every second. A process that is stopped, or that holds the
interpreter for ever, writes nothing, and nothing inside can end it: who looks from outside does.
That is a container's health check, which runs every ten seconds, so this imports next to nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "TAAWON_HEARTBEAT_FILE"
SECONDS = "TAAWON_FROZEN_SECONDS"
DEFAULT_SECONDS = 60.0
LEAST_LOOKS = 3
"""Looks that saw the same heartbeat. While a machine or a container is paused, time passes for
nobody: the first look afterwards may come before the first heartbeat."""
WIDTH = 48


def beat(path: Path) -> None:
    """Write which process lives, and when; readers never see half of it."""
    line = f"{os.getpid()} {time.monotonic():.3f}".ljust(WIDTH)
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, line.encode(), 0)
    finally:
        os.close(file)


def read(path: Path) -> str:
    """The last heartbeat; empty where there was none yet."""
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


@dataclass(frozen=True)
class Stillness:
    """A heartbeat that was seen `looks` times, at first at `since` of the monotonic clock."""

    heartbeat: str = ""
    since: float = 0.0
    looks: int = 0

    def after(self, heartbeat: str, now: float) -> Stillness:
        """What is known after one more look."""
        if heartbeat and heartbeat == self.heartbeat:
            return Stillness(heartbeat, self.since, self.looks + 1)
        return Stillness(heartbeat, now, 1 if heartbeat else 0)

    def is_frozen(self, now: float, seconds: float) -> bool:
        """Whether the process wrote no other heartbeat for so many seconds; 0: never."""
        return bool(seconds) and self.looks >= LEAST_LOOKS and now - self.since >= seconds

    @property
    def pid(self) -> int:
        """The process that wrote it."""
        return int(self.heartbeat.split()[0])


def end_frozen(path: Path, seconds: float) -> bool:
    """Kill the process of this heartbeat if it is frozen; whether it was.

    What earlier looks saw is kept beside the heartbeat.
    """
    kept = path.with_suffix(".seen")
    now = time.monotonic()
    seen = _stillness(kept).after(read(path), now)
    if seen.is_frozen(now, seconds):
        kept.unlink(missing_ok=True)
        sys.stderr.write(f"frozen for {now - seen.since:.0f} s: process {seen.pid} is killed\n")
        os.kill(seen.pid, signal.SIGKILL)
        return True
    kept.write_text(json.dumps(asdict(seen)))
    return False


def _stillness(path: Path) -> Stillness:
    try:
        return Stillness(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return Stillness()


def end_frozen_process() -> bool:
    """The same for the process that the environment names; for the health check of a container."""
    path = os.environ.get(FILE)
    seconds = float(os.environ.get(SECONDS) or DEFAULT_SECONDS)
    return path is not None and end_frozen(Path(path), seconds)
