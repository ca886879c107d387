"""A loop that runs until cancelled ends, even where a library swallowed the cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from devkit.pytest_plugin import PATIENCE
from shared.kernel.sleep import rest, until


async def swallow(begun: asyncio.Event) -> None:
    """Swallow a cancellation, as `asyncio.wait_for` of Python 3.11 may."""
    begun.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def resting() -> None:
    await rest(60)


async def waiting() -> None:
    await until(asyncio.Event(), 60)


@pytest.mark.parametrize("pause", [resting, waiting])
async def test_a_pause_ends_a_task_whose_cancellation_was_swallowed(pause):
    begun = asyncio.Event()

    async def work() -> None:
        while True:
            await swallow(begun)
            await pause()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_an_expired_time_limit_is_no_cancellation():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    await rest(0)


async def test_waiting_ends_with_the_event_or_in_time():
    event = asyncio.Event()
    await until(event, 0.001)
    event.set()
    began = time.monotonic()
    await until(event, 2 * PATIENCE)

    assert time.monotonic() - began < PATIENCE
