"""Ends a process whose event loop is blocked, so that whoever supervises it starts it again.

While the loop is blocked, the process answers nobody and yet looks alive. A thread beside it asks
it every second to answer, and writes the heartbeat by which others see that the process itself is
not stopped (`shared.kernel.heartbeat`).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from shared.kernel import heartbeat
from shared.kernel.settings import Settings

log = structlog.get_logger()

TICK_SECONDS = 1.0
SAYING_SECONDS = 2.0
"""How long the end waits until it is said: the log itself may be what blocks."""


class Watchdog(threading.Thread):
    """Asks the loop for an answer at each tick, and counts the ticks without one.

    It counts ticks and not time: a process that was stopped and goes on has missed none. `seconds`
    of 0 watches nothing.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, heartbeat: Path | None = None
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._loop = loop
        self._seconds = seconds
        self._tick = min(TICK_SECONDS, seconds / 4) if seconds else TICK_SECONDS
        self._heartbeat = heartbeat
        self._answered = threading.Event()
        self._over = threading.Event()

    def run(self) -> None:
        """Watch until `end`."""
        missed = 0
        self._ask()
        while not self._over.wait(self._tick):
            self._beat()
            if self._answered.is_set():
                missed = 0
                self._ask()
                continue
            missed += 1
            if self._seconds and missed * self._tick >= self._seconds:
                self._end_process()

    def end(self) -> None:
        """Watch no more."""
        self._over.set()
        self.join()

    def _ask(self) -> None:
        self._answered.clear()
        with suppress(RuntimeError):  # the loop is closed, and the process about to end
            self._loop.call_soon_threadsafe(self._answered.set)

    def _beat(self) -> None:
        if self._heartbeat is not None:
            with suppress(OSError):  # a full disk is no reason to end
                heartbeat.beat(self._heartbeat)

    def _end_process(self) -> None:
        """At once: whatever blocks the loop would block an orderly end too."""
        saying = threading.Thread(target=self._say_why, daemon=True)
        saying.start()
        saying.join(SAYING_SECONDS)
        os._exit(os.EX_SOFTWARE)

    def _say_why(self) -> None:
        log.critical("event loop blocked", seconds=self._seconds)
        faulthandler.dump_traceback()  # lines of code, and no values


@contextmanager
def watched(settings: Settings) -> Iterator[None]:
    """Watch the running loop; what blocks it for `frozen_seconds` ends the process."""
    watchdog = Watchdog(
        asyncio.get_running_loop(), settings.frozen_seconds, settings.heartbeat_file
    )
    watchdog.start()
    try:
        yield
    finally:
        watchdog.end()
