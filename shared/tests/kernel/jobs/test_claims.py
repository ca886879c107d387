"""Claims: no row is done twice, none is lost, and no key delays the others for long."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from devkit.pytest_plugin import eventually
from shared.kernel.jobs.claims import claim, lease, settle

from .work import QUEUE, Workshop, work, work_once

ROWS_READ = text(
    "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
    " WHERE relname = 'work'"
)
"""The rows of the table that this transaction has read so far."""


async def test_a_row_that_one_transaction_has_claimed_no_other_gets(workshop: Workshop):
    await workshop.add(3, "a")
    await workshop.add(1, "b")

    async with workshop.sessions.begin() as one, workshop.sessions.begin() as other:
        first = await claim(one, QUEUE, limit=3, per_key=3)
        second = await claim(other, QUEUE, limit=3, per_key=3)

    assert [row.key for row in first] == ["a", "a", "a"]
    assert [row.key for row in second] == ["b"]


async def test_two_workers_never_work_one_row_twice(workshop: Workshop):
    for key in "abcd":
        await workshop.add(50, key)

    async def worker() -> None:
        idle = 0
        while idle < 3:  # the other may hold what is left at the first look
            async with workshop.sessions.begin() as session:
                idle = 0 if await work_once(session) else idle + 1

    await asyncio.gather(worker(), worker(), worker())

    finished = await workshop.done()
    assert len(finished) == len(set(finished)) == 200


async def test_of_one_key_no_more_rows_are_claimed_than_the_limit(workshop: Workshop):
    await workshop.add(10, "a")

    async with workshop.sessions.begin() as one, workshop.sessions.begin() as other:
        assert len(await claim(one, QUEUE, limit=10, per_key=2)) == 2
        assert await claim(other, QUEUE, limit=10, per_key=2) == []


async def test_a_key_with_a_thousand_due_rows_does_not_delay_the_single_row_of_another(
    workshop: Workshop,
):
    await workshop.add(1000, "many", in_seconds=-3600)
    await workshop.add(1, "one")

    async with workshop.sessions.begin() as session:
        rows = await claim(session, QUEUE, limit=20, per_key=5)

    assert [row.key for row in rows] == ["many"] * 5 + ["one"]


async def test_with_more_keys_than_room_the_longest_due_come_first(workshop: Workshop):
    for number, key in enumerate("dacb"):
        await workshop.add(2, key, in_seconds=60 * (number - 9))

    async with workshop.sessions.begin() as session:
        rows = await claim(session, QUEUE, limit=3, per_key=1)

    assert [row.key for row in rows] == ["d", "a", "c"]


async def test_a_row_that_is_not_due_yet_is_not_claimed(workshop: Workshop):
    await workshop.add(1, in_seconds=3600)

    async with workshop.sessions.begin() as session:
        assert await claim(session, QUEUE, limit=9, per_key=9) == []


async def test_a_claim_finds_its_rows_by_the_index(workshop: Workshop):
    """Of 20,000 rows of one key not all are read to find the first."""
    await workshop.add(20_000, "many")
    await workshop.add(1, "one")
    async with workshop.engine.begin() as tx:
        await tx.execute(text("ANALYZE work"))

    async with workshop.sessions.begin() as session:
        assert len(await claim(session, QUEUE, limit=10, per_key=1)) == 2
        assert await session.scalar(ROWS_READ) < 1000


async def test_a_leased_row_is_nobody_elses_until_the_lease_ends(workshop: Workshop):
    await workshop.add(1)
    async with workshop.sessions.begin() as session:
        (row,) = await lease(session, QUEUE, limit=9, per_key=9, seconds=0.5)
    async with workshop.sessions.begin() as session:
        at_once = await lease(session, QUEUE, limit=9, per_key=9, seconds=60)

    async def taken_over() -> bool:
        async with workshop.sessions.begin() as session:
            return bool(await lease(session, QUEUE, limit=9, per_key=9, seconds=60))

    assert at_once == []
    await eventually(taken_over)  # its worker died without a word
    async with workshop.sessions.begin() as session:
        assert not await settle(session, QUEUE, row, due_at=None)
    assert await workshop.waiting() == 1


async def test_a_settled_row_is_done_or_due_again(workshop: Workshop):
    await workshop.add(2)
    async with workshop.sessions.begin() as session:
        one, other = await lease(session, QUEUE, limit=9, per_key=9, seconds=60)
    async with workshop.sessions.begin() as session:
        assert await settle(session, QUEUE, one, due_at=None)
        assert await settle(session, QUEUE, other, due_at=func.statement_timestamp())
        assert not await settle(session, QUEUE, one, due_at=None)

    async with workshop.sessions.begin() as session:
        (again,) = await lease(session, QUEUE, limit=9, per_key=9, seconds=60)
    assert again.id == other.id


async def test_a_lease_is_not_settled_without_the_next_due_at(workshop: Workshop):
    await workshop.add(1)
    async with workshop.sessions.begin() as session:
        (row,) = await lease(session, QUEUE, limit=1, per_key=1, seconds=60)
        with pytest.raises(ValueError, match="next due_at"):
            await settle(session, QUEUE, row, key="b")


async def test_when_a_worker_is_killed_no_row_is_lost_and_none_done_twice(workshop: Workshop):
    await workshop.add(100)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("work.py")), workshop.url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    for _ in range(3):  # in the middle of its third transaction or later
        assert await asyncio.wait_for(child.stdout.readline(), 60)
    child.kill()
    await child.wait()

    async def all_done() -> bool:
        async with workshop.sessions.begin() as session:
            await work_once(session)
        return await workshop.waiting() == 0

    await eventually(all_done, within=30)
    async with workshop.sessions() as session:
        ids = list(await session.scalars(select(work.c.id).order_by(work.c.id)))
    assert await workshop.done() == ids
