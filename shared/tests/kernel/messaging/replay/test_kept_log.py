"""The kept log: what its retention removes, quarantined events, and publishing it again."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.contracts.base import now
from shared.kernel.data.tables import AuditRow, OutboxRow
from shared.kernel.messaging import quarantine
from shared.kernel.messaging.replay.domain import BeginsInTheFuture, NotKept
from shared.kernel.messaging.republish import republish
from shared.kernel.messaging.retention import delete_settled

from ..harness import a_stone
from .replay_runs import received, request_replay, wait_for_inbox_rows


async def test_a_replay_says_what_the_retention_has_removed(source):
    await source.publish(a_stone(1))
    async with source.sessions.begin() as session:
        old = now() - timedelta(days=30)
        await session.execute(update(OutboxRow).values(published_at=old, created_at=old))
    assert await delete_settled(source.engine, 7) == 1
    await source.publish(a_stone(2))

    whole = await request_replay(source)
    recent = await request_replay(source, since=now() - timedelta(days=1))

    assert "taawon snapshot masonry --to carpentry.measure" in whole.incomplete
    assert (whole.total, recent.incomplete) == (1, None)
    with pytest.raises(NotKept):
        await request_replay(source, event_id=uuid.uuid4())


async def test_a_replay_of_a_log_from_which_nothing_was_deleted_is_complete(source):
    await source.publish(a_stone(1))
    await delete_settled(source.engine, 7)

    run = await request_replay(source)

    assert (run.incomplete, run.total) == (None, 1)


async def test_quarantined_events_are_listed_and_released_with_who_and_why(source, receiver):
    events = [a_stone(1), a_stone(2)]
    await source.write(*events)
    async with source.sessions.begin() as session:
        await session.execute(update(OutboxRow).values(quarantined_at=now(), last_error="TooLarge"))
    await source.relay.send_batch()
    async with source.sessions() as session:
        listed = [
            (row.event_id, row.last_error) for row in await quarantine.list_quarantined(session)
        ]
    assert listed == [(event.event_id, "TooLarge") for event in events]

    async with source.sessions.begin() as session:
        await quarantine.release(session, [events[1].event_id], who="amina", reason="mended")
    await source.relay.send_batch()

    await wait_for_inbox_rows(receiver, 1)
    assert [e.number for e in received] == [2]
    with pytest.raises(quarantine.NotQuarantined):
        async with source.sessions.begin() as session:
            await quarantine.release(session, [events[1].event_id], who="amina", reason="again")
    async with source.sessions.begin() as session:
        assert await quarantine.release(session, [], who="amina", reason="all") == 1
    async with source.sessions() as session:
        row = await session.scalar(select(AuditRow).order_by(AuditRow.id))
        assert (row.subject_id, row.after) == (
            events[1].event_id,
            {"who": "amina", "reason": "mended"},
        )


async def test_a_log_of_the_future_is_refused(source):
    async with source.sessions.begin() as session:
        with pytest.raises(BeginsInTheFuture):
            await republish(session, now() + timedelta(days=1), who="amina", reason="too early")


async def test_a_log_published_again_reaches_everybody_and_changes_nothing_twice(source, receiver):
    old, lost, waiting = a_stone(1), a_stone(2), a_stone(3)
    await source.publish(old, lost)
    async with source.sessions.begin() as session:
        before = now() - timedelta(days=2)
        await session.execute(
            update(OutboxRow).where(OutboxRow.event_id == old.event_id).values(created_at=before)
        )
    await wait_for_inbox_rows(receiver, 2)
    await source.write(waiting)

    async with source.sessions.begin() as session:
        since = now() - timedelta(days=1)
        published = await republish(session, since, who="amina", reason="the broker lost its data")
    assert (published, await source.unsent()) == (1, 2)
    await source.relay.send_batch()

    await wait_for_inbox_rows(receiver, 3)
    assert sorted(e.number for e in received) == [1, 2, 3]
    async with source.sessions() as session:
        row = await session.scalar(select(AuditRow).where(AuditRow.action == "log republished"))
        assert (row.after["events"], row.after["who"]) == (1, "amina")
