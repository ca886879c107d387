"""Work that goes on until cancelled ends, also where a cancellation was swallowed."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.pauses import rest, until


async def swallow() -> None:
    """As `asyncio.wait_for` of Python 3.11 does in an unlucky moment."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def resting() -> None:
    await rest(60)


async def waiting() -> None:
    await until(asyncio.Event(), 60)


@pytest.mark.parametrize("pause", [resting, waiting])
async def test_a_pause_ends_work_whose_cancellation_was_swallowed(pause):
    async def work() -> None:
        while True:
            await swallow()
            await pause()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)

    assert task.cancelled()


async def test_a_time_limit_that_has_passed_is_no_wish_to_end():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)

    await rest(0)


async def test_waiting_ends_with_the_event_or_in_time():
    event = asyncio.Event()
    await until(event, 0.001)
    event.set()
    began = time.monotonic()
    await until(event, 60)

    assert time.monotonic() - began < 30
