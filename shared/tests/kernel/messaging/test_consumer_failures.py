"""Failures of consumers: which are tried again, which are dead at once, and which are outages."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from devkit.pytest_plugin import PATIENCE, closed, drop_sessions, eventually
from shared.contracts.base import MOST_EVENT_BYTES
from shared.errors import NotFound
from shared.kernel.admin import health
from shared.kernel.data.tables import DeadLetterRow, InboxRow, OutboxRow
from shared.kernel.messaging import message_processor, topology

from .carpenters import QUEUE, Carpenters, WallIsFull, at_work, dead, is_now, lay
from .harness import (
    DELAYS,
    BeamRaised,
    RunningService,
    StoneCut,
    StoneLaid,
    a_stone,
    message_of,
    post,
)

SECRET = "a private value"


async def is_cancelled(event: StoneLaid, session: AsyncSession) -> None:
    await session.execute(text("SET LOCAL statement_timeout = 20"))
    await session.execute(text("SELECT pg_sleep(30)"))


async def waits_too_long(event: StoneLaid, session: AsyncSession) -> None:
    raise TimeoutError


async def test_a_handler_that_fails_after_writing_leaves_nothing(vhost, databases):
    carpenters = Carpenters()
    carpenters.fails(WallIsFull())

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone())
        row = await dead(service)

        assert (row.error, row.attempts, len(carpenters.calls)) == ("WallIsFull", 1, 1)
        assert (await service.count(OutboxRow), await service.count(InboxRow)) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"body": b'{"stone_id": "%s"}' % SECRET.encode()}, "ValidationError(stone_id: uuid_pars"),
        ({"body": b"not json " + SECRET.encode()}, "ValidationError(: json_invalid)"),
        ({"body": b" " * (MOST_EVENT_BYTES + 1)}, "WrongMessage(body of 1048577 bytes"),
        ({"type": "masonry.wall.fell.v1"}, "WrongMessage(this queue does not take type"),
        ({"type": "masonry.\0.v1"}, "WrongMessage("),
        ({"type": None}, "WrongMessage("),
        ({"message_id": "7"}, "WrongMessage(the message id is not a UUID)"),
    ],
    ids=["invalid", "no-json", "oversized", "unknown", "nul", "no-type", "no-uuid"],
)
async def test_a_wrong_message_is_dead_at_once(vhost, databases, changes, error):
    carpenters = Carpenters()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone(), **changes)
        row = await dead(service)

    assert row.error.startswith(error)
    assert (row.attempts, carpenters.calls) == (1, [])
    assert SECRET not in str(row.headers)


async def test_an_event_published_by_another_service_is_dead_at_once(vhost, databases):
    carpenters, stone = Carpenters(), a_stone()
    forged = message_of(stone, user_id="masonry", type=BeamRaised.topic)
    true = message_of(stone, user_id=None)

    async with at_work(carpenters, vhost, databases) as service:
        # Masonry may publish to a retry tier, but not in the name of carpentry.
        tier = topology.Tier(DELAYS[0]).name
        await post(vhost.url("masonry"), forged, QUEUE, exchange=tier)
        await post(vhost.url("masonry"), true, QUEUE, exchange=tier)
        rows = await eventually(lambda: is_now(service.count(DeadLetterRow), 1))
        row = await dead(service)

    assert rows
    assert row.error.startswith("WrongMessage(")
    assert carpenters.calls == []


@pytest.mark.parametrize("error", [NotFound(), RuntimeError(SECRET)], ids=["early", "unknown"])
async def test_other_failures_are_tried_again_with_growing_delays_then_dead(
    vhost, databases, error
):
    carpenters, other = Carpenters(), Carpenters()
    other.consumers.on(StoneCut, queue="follow_cut")(other.raise_beam)
    carpenters.fails(error)
    stone = a_stone()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, stone)
        row = await dead(service)
        assert await service.count(InboxRow) == 0

    assert len(carpenters.calls) == len(DELAYS) + 1 == row.attempts
    assert row.error == type(error).__name__
    assert (row.message_id, row.topic) == (str(stone.event_id), stone.topic)
    assert (row.last_failed_at - row.first_failed_at).total_seconds() >= sum(DELAYS)
    assert not [name for name in row.headers if name.startswith(("x-death", "x-first", "x-last"))]
    assert SECRET not in str(row.headers)


async def test_only_the_failing_consumer_receives_a_retry(vhost, databases):
    carpenters, seen = Carpenters(), []
    carpenters.fails(NotFound())

    @carpenters.consumers.on(StoneLaid, queue="count_stone")
    async def count_stone(event: StoneLaid, session: AsyncSession) -> None:
        seen.append(event)

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone())
        await dead(service)

    assert (len(seen), len(carpenters.calls)) == (1, len(DELAYS) + 1)


async def test_an_event_that_came_too_early_has_its_effect_at_a_later_attempt(vhost, databases):
    carpenters = Carpenters()

    async def early_once(event: StoneLaid, session: AsyncSession) -> None:
        if len(carpenters.calls) == 1:
            raise NotFound

    carpenters.does = early_once
    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone())
        await eventually(lambda: is_now(service.count(InboxRow), 1))

        assert (await service.count(OutboxRow), len(carpenters.calls)) == (1, 2)


async def test_no_message_dies_in_an_outage_longer_than_all_retry_delays(
    vhost, databases, postgres
):
    carpenters = Carpenters()
    async with at_work(carpenters, vhost, databases) as service:
        async with closed(postgres, service.database_url):
            await lay(vhost, *(a_stone(n) for n in range(5)))
            await eventually(lambda: service.processor.paused)
            ready = await health.readyz(service.runtime)
            await asyncio.wait_for(_longer_than_the_schedule(service), PATIENCE)
        await eventually(lambda: is_now(service.count(InboxRow), 5))

        assert ready.status_code == 503
        assert (await service.count(DeadLetterRow), await service.count(OutboxRow)) == (0, 5)
        assert not service.processor.paused
        assert (await health.readyz(service.runtime)).status_code == 200


async def test_a_connection_that_is_cut_in_a_transaction_spends_no_attempt(vhost, databases):
    carpenters = Carpenters()

    async def cut_once(event: StoneLaid, session: AsyncSession) -> None:
        if len(carpenters.calls) == 1:
            await session.flush()
            await drop_sessions(service.database_url)

    carpenters.does = cut_once
    async with at_work(carpenters, vhost, databases, retry_delays=(60.0,)) as service:
        await lay(vhost, a_stone())
        # A query of the test meanwhile would be cut off too.
        await eventually(lambda: len(carpenters.calls) == 2)
        await eventually(lambda: is_now(service.count(OutboxRow), 1))


@pytest.mark.parametrize("does", [is_cancelled, waits_too_long])
async def test_a_message_that_fails_as_in_an_outage_while_the_database_answers_becomes_dead(
    vhost, databases, monkeypatch: pytest.MonkeyPatch, does
):
    monkeypatch.setattr(message_processor, "PROBES_IN_VAIN", 2)
    carpenters = Carpenters()
    carpenters.does = does

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone())
        row = await dead(service)
        await eventually(lambda: not service.processor.paused)

        assert (await health.readyz(service.runtime)).status_code == 200
    assert row.attempts == len(DELAYS) + 1
    assert len(carpenters.calls) == (2 + 1) * row.attempts


@pytest.mark.parametrize("error", [PoolTimeoutError(), asyncpg.DiskFullError("full")])
async def test_no_message_dies_because_there_is_no_room(
    vhost, databases, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    monkeypatch.setattr(message_processor, "PROBES_IN_VAIN", 2)
    carpenters = Carpenters()

    async def has_room_at_last(event: StoneLaid, session: AsyncSession) -> None:
        if len(carpenters.calls) < 5:
            raise error

    carpenters.does = has_room_at_last
    with capture_logs() as logs:
        async with at_work(carpenters, vhost, databases) as service:
            await lay(vhost, a_stone())
            await eventually(lambda: is_now(service.count(InboxRow), 1))

    assert len(carpenters.calls) == 5
    assert "message to be tried again" not in {line["event"] for line in logs}


async def _longer_than_the_schedule(service: RunningService) -> None:
    """Wait until every message has waited longer than all retry delays together."""
    loop = asyncio.get_running_loop()
    end = loop.time() + sum(DELAYS) + 0.3
    await eventually(lambda: loop.time() > end and service.processor._waiting == 5)
