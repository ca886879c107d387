"""Pauses of work that goes on until its task is cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def rest(seconds: float) -> None:
    """Sleep so long, unless the task has been asked to end: then it ends here.

    `asyncio.wait_for` of Python 3.11 answers with what it waited for where that ends in the same
    moment as it is cancelled; a loop that survives every outage would then take the cancellation
    for one more outage, and never end. We use `asyncio.timeout`, but the broker's client does not
    everywhere. The task still knows that it was asked.
    """
    _end_if_asked()
    await asyncio.sleep(seconds)


async def until(event: asyncio.Event, seconds: float) -> None:
    """Rest until the event is set, or so long."""
    _end_if_asked()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _end_if_asked() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
