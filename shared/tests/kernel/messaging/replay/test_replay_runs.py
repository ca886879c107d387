"""Runs of replays: each page is sent once per run, and continued from its position."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, text, update

from shared.contracts.base import now
from shared.errors import IllegalMove
from shared.kernel.data.tables import AuditRow, InboxRow, ReplayRow
from shared.kernel.messaging import replay
from shared.kernel.messaging.replay.domain import MOVES, State, end
from shared.kernel.messaging.replay.sources import Page, Snapshot, page_of
from shared.kernel.messaging.replay.worker import BACKLOG

from ..harness import StoneLaid, a_stone, depth
from .replay_runs import (
    OPERATOR,
    QUEUE,
    SENT_WITH_REQUEST,
    received,
    replayer,
    request_replay,
    stones,
    stored_run,
    wait_for_inbox_rows,
    work_off,
)


async def test_the_replayed_log_reaches_one_queue_and_no_other(source, receiver):
    events = [a_stone(1), a_stone(2), a_stone(3)]
    await source.publish(*events)
    await wait_for_inbox_rows(receiver, 3)

    run = await request_replay(source)
    await work_off(replayer(source))

    await wait_for_inbox_rows(receiver, 6)
    assert {e.event_id for e in received[3:]} == {event.event_id for event in events}
    found = await stored_run(source, run)
    assert (found.state, found.sent, found.done, found.total) == ("finished", 3, 3, 3)
    async with receiver.sessions() as session:
        rows = await session.execute(
            select(InboxRow.queue, InboxRow.run).where(InboxRow.run != "").distinct()
        )
        assert [tuple(row) for row in rows] == [(QUEUE, str(run.run))]


async def test_a_page_that_is_sent_again_after_a_crash_changes_nothing(source, receiver):
    """The position was never stored, so the whole run is sent once more under the same ids."""
    present = stones(*(a_stone(n) for n in range(3)))
    run = await request_replay(source, present)
    await work_off(replayer(source, present))
    await wait_for_inbox_rows(receiver, 3)

    async with source.sessions.begin() as session:
        lost = {"position": {}, "done": 0, "sent": 0, "state": "running"}
        await session.execute(update(ReplayRow).values(**lost))
    await work_off(replayer(source, present))

    last = a_stone(99)
    await source.publish(last)
    await wait_for_inbox_rows(receiver, 4)
    assert len(received) == 4
    assert (await stored_run(source, run)).state == "finished"


async def test_another_run_of_the_same_snapshot_is_received_anew(source, receiver):
    present = stones(a_stone(1))

    for _ in range(2):
        await request_replay(source, present)
        await work_off(replayer(source, present))

    await wait_for_inbox_rows(receiver, 2)
    assert {e.number for e in received} == {1}


async def test_two_senders_at_once_send_each_page_once(source):
    present = stones(*(a_stone(n) for n in range(7)))
    run = await request_replay(source, present)
    senders = [replayer(source, present), replayer(source, present)]

    while (await stored_run(source, run)).state == "running":
        for sender in senders:
            await sender.step()

    found = await stored_run(source, run)
    assert (found.sent, found.done) == (7, 7)
    assert await depth(source.admin_url, QUEUE) == 7 + SENT_WITH_REQUEST


async def test_a_replayer_without_the_lock_sends_nothing(source):
    present = stones(a_stone())
    await request_replay(source, present)
    async with source.sessions.begin() as session:
        key = replay.worker.REPLAY_LOCK
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

        assert not await replayer(source, present).step()

    assert await replayer(source, present).step()


async def test_an_event_that_has_yet_to_be_sent_is_not_replayed(source, receiver):
    await source.write(a_stone(1))

    run = await request_replay(source)
    await work_off(replayer(source))

    assert (await stored_run(source, run)).sent == 0


async def test_a_run_waits_while_its_queue_is_full(source):
    """Nobody consumes: the queue gets no more than a bounded number, and the run goes on later."""
    present = stones(*(a_stone(n) for n in range(BACKLOG * 2)))
    run = await request_replay(source, present)

    await work_off(replayer(source, present))

    waiting = await depth(source.admin_url, QUEUE)
    assert BACKLOG <= waiting < BACKLOG + 2 + SENT_WITH_REQUEST
    assert (await stored_run(source, run)).state == "running"


async def test_a_run_whose_queue_has_gone_fails_and_says_so(source, vhost):
    present = stones(a_stone())
    run = await request_replay(source, present)
    vhost.broker.management.delete(f"queues/{vhost.name}/{QUEUE}")

    await work_off(replayer(source, present))

    found = await stored_run(source, run)
    assert (found.state, found.error) == (
        "failed",
        f"{QUEUE} is bound no longer: no route for taawon.replay {QUEUE} {StoneLaid.topic}",
    )


async def test_a_page_that_can_not_be_read_fails_the_run_and_not_the_next(source):
    good = stones(a_stone(1), a_stone(2))

    async def broken(session: Any, after: Any) -> Page:
        if after is not None:
            await session.execute(text("SELECT 1 / 0"))
        return await good.page(session, after)

    bad = Snapshot("bad", (StoneLaid.topic,), broken, good.count)
    run = await request_replay(source, bad)

    await work_off(replayer(source, bad))

    found = await stored_run(source, run)
    assert found.state == "failed"
    assert "could not be read" in found.error


async def test_a_row_that_can_not_be_read_is_named_and_all_others_are_sent(source):
    known = {stone.stone_id: stone for stone in (a_stone(n) for n in range(5))}
    ids = sorted(known)
    broken = ids[1]

    async def read(session: Any, wanted: Any) -> list[Any]:
        if broken in wanted:
            await session.execute(text("SELECT 1 / 0"))
        return [(str(each), known[each]) for each in wanted]

    async def page(session: Any, after: Any) -> Page:
        rest = [each for each in ids if after is None or each > after]
        return await page_of(session, "stone", rest[:3], read)

    snapshot = Snapshot("stones", (StoneLaid.topic,), page, stones(*known.values()).count)
    run = await request_replay(source, snapshot)

    await work_off(replayer(source, snapshot))

    found = await stored_run(source, run)
    assert (found.state, found.done, found.sent) == ("finished", 5, 4)
    assert f"stone {broken} (" in found.incomplete
    assert [str(each) in found.incomplete for each in ids].count(True) == 1


async def test_a_stopped_run_sends_nothing_more_and_says_who_and_why(source):
    present = stones(*(a_stone(n) for n in range(5)))
    run = await request_replay(source, present)
    sender = replayer(source, present)
    await sender.step()

    async with source.sessions.begin() as session:
        await replay.stop(session, OPERATOR, run.run, reason="enough")
    assert not await sender.step()

    found = await stored_run(source, run)
    assert (found.state, found.sent, found.ended_because) == ("stopped", 2, "enough")
    assert found.ended_by == str(OPERATOR.subject)
    with pytest.raises(IllegalMove):
        async with source.sessions.begin() as session:
            await replay.stop(session, OPERATOR, run.run, reason="again")
    async with source.sessions() as session:
        said = await session.scalars(select(AuditRow.action).order_by(AuditRow.id))
        assert list(said) == ["snapshot replay begun", "replay stopped"]


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_a_run_ends_once(before: State, after: State) -> None:
    run = SimpleNamespace(state=before.value, ended_at=now(), ended_by=None)

    if after in MOVES[before]:
        end(run, after, at=now())
        assert run.state == after.value
    else:
        with pytest.raises(IllegalMove):
            end(run, after, at=now())
        assert run.state == before.value
