"""Consumers on a real broker and database: one effect per event, whatever goes wrong around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from devkit.pytest_plugin import PATIENCE, TestDatabases, Vhost, closed, drop_sessions, eventually
from shared.errors import Conflict, NotFound
from shared.kernel import context
from shared.kernel.admin import health
from shared.kernel.data.tables import DeadLetterRow, InboxRow, OutboxRow
from shared.kernel.messaging import message_processor, outbox, topology
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.wire import MAX_BODY_BYTES

from .harness import (
    DELAYS,
    BeamRaised,
    EventSource,
    RunningService,
    StoneCut,
    StoneLaid,
    a_stone,
    depth,
    event_source,
    message_of,
    post,
    running_service,
)


class WallIsFull(Conflict):
    """No stone goes onto a full wall."""


class Carpenters:
    """A service with one consumer, and the events it got; `does` is what its handler then does."""

    def __init__(self, prefetch: int = 10) -> None:
        self.consumers = Consumers("carpentry")
        self.calls: list[StoneLaid] = []
        self.does: Any = None
        self.consumers.on(StoneLaid, prefetch=prefetch, queue="raise_beam")(self.raise_beam)

    async def raise_beam(self, event: StoneLaid, session: AsyncSession) -> None:
        """A stone was laid: a beam may rest on it."""
        self.calls.append(event)
        outbox.add(session, BeamRaised(beam_id=event.stone_id))
        if self.does is not None:
            await self.does(event, session)

    def fails(self, error: Exception) -> None:
        async def do(event: StoneLaid, session: AsyncSession) -> None:
            raise error

        self.does = do


QUEUE = "carpentry.raise_beam"


@asynccontextmanager
async def at_work(
    made: Carpenters, vhost: Vhost, databases: TestDatabases, **settings: Any
) -> AsyncIterator[RunningService]:
    url = databases.kernel()
    async with running_service(
        made.consumers, vhost.admin_url, vhost.url("carpentry"), url, **settings
    ) as service:
        yield service


async def dead(service: RunningService) -> DeadLetterRow:
    """The one dead letter, once it is in the table."""

    (row,) = await eventually(service.dead_letters)
    return row


async def lay(vhost: Vhost, *stones: StoneLaid, **changes: Any) -> None:
    for stone in stones:
        await post(vhost.url("masonry"), message_of(stone, **changes), stone.topic)


async def test_the_effect_the_inbox_row_and_the_next_event_are_one_transaction(vhost, databases):
    carpenters, stone = Carpenters(), a_stone()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, stone)
        await eventually(lambda: service.count(OutboxRow))

        assert (await service.count(InboxRow), len(carpenters.calls)) == (1, 1)
        assert await depth(vhost.admin_url, QUEUE) == 0


async def test_the_trace_goes_from_outbox_to_the_next_event(source: EventSource, vhost, databases):
    carpenters, stone = Carpenters(), a_stone()
    work = context.WorkContext.of(correlation_id="order-8")

    async with at_work(carpenters, vhost, databases) as service:
        with context.working(work):
            await source.write(stone)
        await source.relay.send_batch()
        await eventually(lambda: service.count(OutboxRow))
        async with service.sessions() as session:
            headers = await session.scalar(select(OutboxRow.headers))

    assert headers["cloudEvents_correlationid"] == "order-8"
    assert headers["cloudEvents_causationid"] == str(stone.event_id)
    assert headers["traceparent"].split("-")[1] == work.traceparent.split("-")[1]


async def test_the_same_event_twice_has_one_effect(vhost, databases):
    carpenters, stone = Carpenters(), a_stone()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, stone, stone, a_stone())
        await eventually(lambda: len(carpenters.calls) >= 2)
        await eventually(lambda: _empty(vhost))

        assert (await service.count(OutboxRow), await service.count(InboxRow)) == (2, 2)


@pytest.mark.parametrize("prefetch", [1, 3])
async def test_no_more_messages_are_worked_on_at_once_than_prefetch_says(
    vhost, databases, prefetch
):
    carpenters, now, peak = Carpenters(prefetch), 0, 0
    go_on = asyncio.Event()

    async def wait_for_go_on(event: StoneLaid, session: AsyncSession) -> None:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await go_on.wait()
        now -= 1

    carpenters.does = wait_for_go_on
    await topology.apply(vhost.admin_url, DELAYS, carpenters.consumers.consumers)
    await lay(vhost, *(a_stone(n) for n in range(20)))
    async with at_work(carpenters, vhost, databases) as service:
        await eventually(lambda: now == prefetch)
        go_on.set()
        await eventually(lambda: _is(service.count(InboxRow), 20))

    assert peak == prefetch


async def test_a_handler_that_fails_after_writing_leaves_nothing(vhost, databases):
    carpenters = Carpenters()
    carpenters.fails(WallIsFull())

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, a_stone())
        row = await dead(service)

        assert (row.error, row.attempts, len(carpenters.calls)) == ("WallIsFull", 1, 1)
        assert (await service.count(OutboxRow), await service.count(InboxRow)) == (0, 0)


SECRET = "a private value"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"body": b'{"stone_id": "%s"}' % SECRET.encode()}, "ValidationError(stone_id: uuid_pars"),
        ({"body": b"not json " + SECRET.encode()}, "ValidationError(: json_invalid)"),
        ({"body": b" " * (MAX_BODY_BYTES + 1)}, "WrongMessage(body of 1048577 bytes"),
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
        rows = await eventually(lambda: _is(service.count(DeadLetterRow), 1))
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
        await eventually(lambda: _is(service.count(InboxRow), 1))

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
        await eventually(lambda: _is(service.count(InboxRow), 5))

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
        await eventually(lambda: _is(service.count(OutboxRow), 1))


async def is_cancelled(event: StoneLaid, session: AsyncSession) -> None:
    await session.execute(text("SET LOCAL statement_timeout = 20"))
    await session.execute(text("SELECT pg_sleep(30)"))


async def waits_too_long(event: StoneLaid, session: AsyncSession) -> None:
    raise TimeoutError


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
            await eventually(lambda: _is(service.count(InboxRow), 1))

    assert len(carpenters.calls) == 5
    assert "message to be tried again" not in {line["event"] for line in logs}


async def test_a_stop_waits_for_the_message_in_hand_and_leaves_the_others_in_the_queue(
    vhost, databases
):
    carpenters, started, go_on = Carpenters(1), asyncio.Event(), asyncio.Event()

    async def wait_for_go_on(event: StoneLaid, session: AsyncSession) -> None:
        started.set()
        await go_on.wait()

    carpenters.does = wait_for_go_on
    async with at_work(carpenters, vhost, databases) as service:
        url = service.database_url
        await lay(vhost, a_stone(1), a_stone(2))
        await asyncio.wait_for(started.wait(), PATIENCE)
        asyncio.get_running_loop().call_later(0.2, go_on.set)

    async with event_source(vhost.admin_url, vhost.url("carpentry"), url) as after:
        assert await after.count() == 1
    assert await eventually(lambda: depth(vhost.admin_url, QUEUE)) == 1


async def test_messages_in_hand_during_a_restart_of_the_broker_have_one_effect_each(
    own_broker, databases
):
    carpenters, held = Carpenters(3), asyncio.Event()

    async def hold_first(event: StoneLaid, session: AsyncSession) -> None:
        if not held.is_set():
            await held.wait()

    carpenters.does = hold_first
    url = databases.kernel()
    admin, publisher_url = own_broker.admin_url(), own_broker.url_of("masonry")
    async with running_service(
        carpenters.consumers, admin, own_broker.url_of("carpentry"), url
    ) as service:
        for stone in [a_stone(n) for n in range(10)]:
            await post(publisher_url, message_of(stone), stone.topic)
        await eventually(lambda: len(carpenters.calls) == 3)
        await asyncio.to_thread(own_broker.found.server.stop)
        await asyncio.to_thread(own_broker.found.server.start)
        held.set()
        await eventually(lambda: _is(service.count(InboxRow), 10))

        assert (await service.count(OutboxRow), await service.count(DeadLetterRow)) == (10, 0)
    assert len(carpenters.calls) >= 10


async def _is(count: Any, expected: int) -> bool:
    return bool(await count == expected)


async def _empty(vhost: Vhost) -> bool:
    return await depth(vhost.admin_url, QUEUE) == 0


async def _longer_than_the_schedule(service: RunningService) -> None:
    """Wait until every message has waited longer than all retry delays together."""
    loop = asyncio.get_running_loop()
    end = loop.time() + sum(DELAYS) + 0.3
    await eventually(lambda: loop.time() > end and service.processor._waiting == 5)


def test_a_queue_is_named_after_service_and_consumer():
    carpenters = Carpenters()

    (consumer,) = carpenters.consumers.consumers

    assert (consumer.queue, consumer.topics) == (QUEUE, (StoneLaid.topic,))
