"""Waiting in a command for something to come true."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_true: Callable[[], bool], *, within: float, every: float = 0.05) -> bool:
    """Whether the condition became true `within` so many seconds, checked `every` so many."""
    end = time.monotonic() + within
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
