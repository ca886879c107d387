"""Decisions about dead letters: redriven or dropped by a person, once, and audited."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select, text

from devkit.pytest_plugin import Vhost, eventually
from shared.kernel.data.tables import AuditRow, InboxRow
from shared.kernel.jobs.job import work_off
from shared.kernel.messaging import dead_letters, topology
from shared.kernel.messaging.retention import delete_decided
from shared.kernel.service import background

from ..harness import DELAYS, RunningService, a_stone, depth, message_of, post
from .gate import QUEUE, Gate, redrive, the_dead_letter, two_dead_letters


async def test_a_list_does_not_load_the_bodies_and_headers_of_dead_letters(
    dead_letter, running_consumer: RunningService
):
    async with running_consumer.sessions() as session:
        (listed,) = await dead_letters.list_dead_letters(session)

    assert (listed.id, listed.error) == (dead_letter.id, "WallIsFull")
    assert not {"body", "headers"} & set(listed._fields)


async def test_a_redriven_dead_letter_has_one_effect(
    dead_letter, gate: Gate, running_consumer: RunningService
):
    gate.open = True

    await redrive(running_consumer, dead_letter.id)
    await eventually(lambda: running_consumer.count(InboxRow))

    row = await the_dead_letter(running_consumer, "redriven")
    assert (row.decided_by, row.decision_reason) == ("a builder", "there is room now")
    assert [event.event_id for event in gate.taken] == [uuid.UUID(dead_letter.message_id)]


async def test_a_dead_letter_is_redriven_once(
    dead_letter, gate: Gate, running_consumer: RunningService
):
    gate.open = True
    await redrive(running_consumer, dead_letter.id)

    with pytest.raises(dead_letters.AlreadyDecided, match="redriven"):
        await redrive(running_consumer, dead_letter.id)

    await eventually(lambda: running_consumer.count(InboxRow))
    assert len(gate.taken) == 1


async def test_a_redrive_that_was_sent_twice_has_one_effect(
    dead_letter, gate, running_consumer: RunningService
):
    gate.open = True
    async with running_consumer.sessions() as session:
        await dead_letters.redrive(
            session,
            running_consumer.runtime.publisher,
            dead_letter.id,
            pause=DELAYS[0],
            who="a",
            reason="b",
        )
        await session.rollback()  # as after a crash behind the broker's confirm

    await redrive(running_consumer, dead_letter.id)
    await eventually(lambda: running_consumer.count(InboxRow))
    await eventually(lambda: _tiers_are_empty(running_consumer))

    assert len(gate.taken) == 1


async def test_a_redriven_dead_letter_that_dies_again_is_one_row_again(
    dead_letter, running_consumer: RunningService
):
    await redrive(running_consumer, dead_letter.id)

    row = await the_dead_letter(running_consumer)

    assert row.id == dead_letter.id
    assert row.last_failed_at > dead_letter.last_failed_at
    assert (row.decided_at, row.decided_by, row.decision_reason) == (None, None, None)


async def test_every_decision_about_a_dead_letter_is_in_the_audit(
    dead_letter, running_consumer: RunningService
):
    service = running_consumer
    await redrive(service, dead_letter.id)
    await the_dead_letter(service)
    async with service.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a mason", reason="the wall is gone")

    async with service.sessions() as session:
        found = list(await session.scalars(select(AuditRow).order_by(AuditRow.id)))
    audited = [(row.action, (row.after or {})["who"], (row.after or {})["reason"]) for row in found]
    assert audited == [
        ("dead letter redriven", "a builder", "there is room now"),
        ("dead letter dropped", "a mason", "the wall is gone"),
    ]
    assert {str(row.subject_id) for row in found} == {dead_letter.message_id}


async def test_a_dropped_dead_letter_stays_with_who_and_why(
    dead_letter, gate, running_consumer: RunningService
):
    async with running_consumer.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a builder", reason="the wall is gone")

    row = await the_dead_letter(running_consumer, "dropped")
    assert (row.decided_by, row.decision_reason) == ("a builder", "the wall is gone")
    with pytest.raises(dead_letters.AlreadyDecided, match="dropped"):
        await redrive(running_consumer, dead_letter.id)


async def test_a_decided_dead_letter_is_deleted_after_its_retention(
    dead_letter, running_consumer: RunningService, vhost: Vhost
):
    service, stone = running_consumer, a_stone(8)
    await post(vhost.url("masonry"), message_of(stone), stone.topic)
    _, newer = await eventually(lambda: two_dead_letters(service))
    async with service.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a builder", reason="the wall is gone")
    await decided_days_ago(service, 89)
    assert service.runtime.engine is not None

    await delete_decided(
        service.runtime.engine, service.runtime.settings.dead_letter_retention_days
    )
    assert [row.id for row in await service.dead_letters("dropped")] == [dead_letter.id]

    await decided_days_ago(service, 91)
    await work_off(background.delete_old(service.runtime))
    assert not await service.dead_letters("dropped")
    assert [row.id for row in await service.dead_letters()] == [newer.id]  # it waits, however long


async def test_an_unknown_number_is_reported(running_consumer: RunningService):
    async with running_consumer.sessions() as session:
        with pytest.raises(dead_letters.NoSuchDeadLetter, match="list"):
            await dead_letters.show(session, 999)
        with pytest.raises(dead_letters.NoSuchDeadLetter):
            await dead_letters.drop(session, 999, who="a", reason="b")


async def decided_days_ago(service: RunningService, days: int) -> None:
    earlier = text("UPDATE dead_letter SET decided_at = now() - make_interval(days => :days)")
    async with service.sessions.begin() as session:
        await session.execute(earlier, {"days": days})


async def _tiers_are_empty(service: RunningService) -> bool:
    tiers = [topology.Tier(pause).name for pause in DELAYS]
    return not any([await depth(service.admin_url, name) for name in (*tiers, QUEUE)])
