"""Waiting in a command for something to come true."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], *, within: float, every: float = 0.05) -> bool:
    """Whether it came to hold within so many seconds, looked at `every` so many seconds."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
