"""Pauses of loops that run until their task is cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def rest(seconds: float) -> None:
    """Sleep so long; raise `CancelledError` at once if the task has been cancelled before.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that comes in the same moment as the
    result it waits for; a loop that survives every outage would then never end. We use
    `asyncio.timeout`, but the broker's client does not everywhere. The task still counts the
    cancellation.
    """
    _end_if_asked()
    await asyncio.sleep(seconds)


async def until(event: asyncio.Event, seconds: float) -> None:
    """Rest until the event is set, but no longer than so many seconds."""
    _end_if_asked()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _end_if_asked() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
