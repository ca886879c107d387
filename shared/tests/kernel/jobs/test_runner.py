"""The runner of jobs: on notification, by the clock, after failures, and at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from devkit.pytest_plugin import eventually
from shared.kernel.jobs.job import Job, work_off
from shared.kernel.jobs.job import Job as AnyJob
from shared.kernel.jobs.runner import (
    LONGEST_OUTAGE_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Loop,
    Runner,
)

from .work import CHANNEL, Workshop, work_once

HOUR = 3600.0


def working_at(workshop: Workshop, name: str = "work", poll_seconds: float = HOUR) -> Job:
    async def step() -> bool:
        async with workshop.sessions.begin() as session:
            return await work_once(session) > 0

    return Job(name=name, step=step, poll_seconds=poll_seconds, notify_channels=(CHANNEL,))


def a_job(step: Callable[[], Awaitable[bool]], **more: object) -> AnyJob:
    return Job(**{"name": "some", "step": step, "poll_seconds": HOUR} | more)  # type: ignore[arg-type]


@asynccontextmanager
async def running(url: str, *jobs: Job, stop_seconds: float = 10.0) -> AsyncIterator[None]:
    task = asyncio.create_task(Runner(url, jobs, stop_seconds).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_job_works_until_nothing_is_left(workshop: Workshop):
    await workshop.add(23)

    async with running(workshop.url, working_at(workshop)):
        await eventually(lambda: nothing_waits(workshop))

    assert len(await workshop.done()) == 23


async def test_a_commit_starts_a_job_without_waiting_for_the_clock(workshop: Workshop):
    await workshop.add(1)
    async with running(workshop.url, working_at(workshop)):
        await eventually(lambda: nothing_waits(workshop))  # it listens now

        await workshop.add(1)
        await eventually(lambda: nothing_waits(workshop))


async def test_without_a_channel_the_clock_is_enough(workshop: Workshop):
    turns = []

    async def step() -> bool:
        turns.append(1)
        return False

    async with running(workshop.url, a_job(step, poll_seconds=0.01)):
        await eventually(lambda: len(turns) > 2)


async def test_two_runners_never_work_one_row_twice(workshop: Workshop):
    for key in "abc":
        await workshop.add(60, key)
    one = working_at(workshop, poll_seconds=0.05)

    async with running(workshop.url, one), running(workshop.url, one):
        await eventually(lambda: nothing_waits(workshop), within=30)

    finished = await workshop.done()
    assert len(finished) == len(set(finished)) == 180


async def test_a_job_that_fails_backs_off_and_the_others_go_on(workshop: Workshop):
    failed = []

    async def fail() -> bool:
        failed.append(1)
        raise LookupError

    before = count_of("taawon_job_failures_total", "failing")
    with capture_logs() as logs:
        async with running(
            workshop.url, a_job(fail, name="failing", poll_seconds=0.0), working_at(workshop)
        ):
            await eventually(lambda: len(failed) >= 2)
            await workshop.add(30)
            await eventually(lambda: nothing_waits(workshop))

    said = [line for line in logs if line["event"] == "background work failed"]
    assert {line["job"] for line in said} == {"failing"}
    assert count_of("taawon_job_failures_total", "failing") - before == len(failed) == len(said)
    assert len(failed) < 10  # without pauses it would be thousands


@pytest.mark.parametrize(
    ("error", "longest", "logged"),
    [
        (ConnectionRefusedError(), LONGEST_OUTAGE_PAUSE_SECONDS, 0),
        (OperationalError("", {}, ConnectionResetError()), LONGEST_OUTAGE_PAUSE_SECONDS, 0),
        (LookupError(), LONGEST_PAUSE_SECONDS, 3),
    ],
    ids=["broker", "database", "mistake"],
)
async def test_the_pause_after_failures_grows_up_to_a_limit_and_ends_with_the_first_success(
    error: Exception, longest: float, logged: int
):
    outcomes: list[Exception | None] = [error, error, error, None]

    async def step() -> bool:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        return True

    loop = Loop(a_job(step))
    with capture_logs() as logs:
        await loop.turn()
        assert 0.1 <= loop.pause_seconds <= 0.2
        await loop.turn()
        await loop.turn()
        assert 0.4 <= loop.pause_seconds <= 0.8
        loop.failures = 10_000
        assert longest / 2 <= loop.pause_seconds <= longest
        assert await loop.turn()

    assert loop.failures == 0
    assert sum(line["event"] == "background work failed" for line in logs) == logged


async def test_stopping_finishes_the_unit_in_hand_and_begins_no_other(workshop: Workshop):
    await workshop.add(3)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        async with workshop.sessions.begin() as session:
            found = await work_once(session, limit=1, per_key=1)
            inside.set()
            await go_on.wait()
        return found > 0

    task = asyncio.create_task(Runner(workshop.url, [a_job(step)]).run())
    await inside.wait()
    task.cancel()
    go_on.set()  # its commit comes after the end was asked for
    with suppress(asyncio.CancelledError):
        await task

    assert len(await workshop.done()) == 1
    assert await workshop.waiting() == 2


async def test_a_unit_that_does_not_end_in_time_is_rolled_back(workshop: Workshop):
    await workshop.add(3)
    inside = asyncio.Event()

    async def step() -> bool:
        async with workshop.sessions.begin() as session:
            await work_once(session)
            inside.set()
            await asyncio.Event().wait()
        return True

    with capture_logs() as logs:
        async with running(workshop.url, a_job(step), stop_seconds=0.05):
            await inside.wait()

    assert await workshop.done() == []
    assert await workshop.waiting() == 3
    assert [line["job"] for line in logs if line["event"] == "background work cut off"] == ["some"]


async def test_a_pause_of_an_hour_does_not_hold_up_the_end(workshop: Workshop):
    closed = []

    async def close() -> None:
        closed.append(1)

    async def step() -> bool:
        return False

    async with asyncio.timeout(10):
        async with running(workshop.url, a_job(step, name="hourly", close=close)):
            await eventually(lambda: count_of("taawon_job_last_run_timestamp_seconds", "hourly"))
    assert closed == [1]


async def test_work_off_does_all_units_once_and_raises_their_errors(workshop: Workshop):
    await workshop.add(12)

    assert await work_off(working_at(workshop)) == 3
    assert await workshop.waiting() == 0

    async def fail() -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        await work_off(a_job(fail))


async def nothing_waits(workshop: Workshop) -> bool:
    return await workshop.waiting() == 0


def count_of(metric: str, job: str) -> float:
    return REGISTRY.get_sample_value(metric, {"name": job}) or 0.0
