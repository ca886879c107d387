"""The relay on a real broker and database: events are persistent, in order, and never lost."""

from __future__ import annotations

import asyncio
import time
import uuid

import aio_pika
from aiormq.exceptions import ChannelPreconditionFailed
from cloudevents.core.bindings import amqp
from sqlalchemy import text

from devkit.pytest_plugin import PATIENCE, TestDatabases, Vhost, drop_sessions, eventually
from shared.contracts.base import Event
from shared.kernel import context
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import OutboxRow
from shared.kernel.messaging import outbox, topology
from shared.kernel.messaging.publisher import Outgoing, Publisher, is_own_fault, needs_singling_out
from shared.kernel.messaging.relay import QUARANTINED, Relay

from .harness import (
    BeamRaised,
    EventSource,
    a_stone,
    channel_of,
    depth,
    event_source,
    message_of,
    numbers,
    open_queue,
    received,
    working,
)


async def test_an_event_arrives_persistent_with_its_own_id_and_context(source: EventSource):
    event = a_stone()
    work = context.WorkContext.of(correlation_id="order-7", causation_id="c-1")

    async with open_queue(source.admin_url) as queue:
        with context.working(work):
            await source.write(event)
        await source.relay.send_batch()
        message = await received(queue)

    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (message.message_id, message.type) == (str(event.event_id), event.topic)
    assert (message.app_id, message.user_id) == ("masonry", "masonry")
    assert message.headers["cloudEvents_correlationid"] == "order-7"
    assert message.headers["cloudEvents_causationid"] == "c-1"
    assert message.headers["traceparent"].split("-")[1] == work.traceparent.split("-")[1]


async def test_the_cloudevents_sdk_reads_an_event(source: EventSource):
    event = a_stone(number=7)

    async with open_queue(source.admin_url) as queue:
        await source.publish(event)
        message = await received(queue)

    read = amqp.from_binary_event(
        amqp.AMQPMessage(
            {"content-type": message.content_type}, dict(message.headers), message.body
        )
    )
    assert (read.get_id(), read.get_type()) == (str(event.event_id), event.topic)
    assert (read.get_source(), read.get_time()) == ("/taawon/masonry", event.occurred_at)
    assert (read.get_specversion(), read.get_datacontenttype()) == ("1.0", "application/json")
    assert read.get_data() == event.model_dump(mode="json")


async def test_an_event_sent_twice_keeps_its_message_id(source: EventSource):
    event = a_stone()

    async with open_queue(source.admin_url) as queue:
        await source.publish(event)
        async with source.engine.begin() as tx:
            await tx.execute(text("UPDATE outbox SET published_at = NULL"))
        await source.relay.send_batch()
        both = [await received(queue), await received(queue)]

    assert [message.message_id for message in both] == [str(event.event_id)] * 2


async def test_nothing_is_sent_of_a_change_that_was_rolled_back(source: EventSource):
    async with open_queue(source.admin_url) as queue:
        async with source.sessions() as session:
            outbox.add(session, a_stone(number=1))
            await session.flush()
            await session.rollback()
        await source.publish(a_stone(number=2))

        assert await numbers(queue, 1) == [2]


async def test_an_event_that_nobody_consumes_goes_to_the_unrouted_queue(source: EventSource):
    await source.publish(a_stone())

    assert await eventually(lambda: depth(source.admin_url, topology.UNROUTED)) == 1


async def test_without_an_unrouted_queue_an_event_that_nobody_takes_stays_pending(
    source: EventSource,
):
    async with channel_of(source.admin_url) as channel:
        await channel.queue_delete(topology.UNROUTED)
    await source.write(a_stone())

    sent = await source.relay.send_batch()

    (row,) = await source.rows()
    assert (sent.count, sent.clean) == (0, False)
    assert (row.published_at, row.quarantined_at, row.last_error) == (None, None, "Unroutable")


async def test_events_of_one_aggregate_leave_in_order(source: EventSource):
    stone = uuid.uuid4()

    async with open_queue(source.admin_url) as queue:
        await source.publish(*(a_stone(number, stone) for number in range(250)))

        assert await numbers(queue, 250) == list(range(250))


async def test_an_event_that_may_not_be_published_is_quarantined_and_the_others_go_out(
    source: EventSource,
):
    before = QUARANTINED._value.get()

    async with open_queue(source.admin_url) as queue:
        await source.write(a_stone(1), BeamRaised(beam_id=uuid.uuid4()), a_stone(2))
        async with working(source.relay.run()):
            await eventually(lambda: source.count(OutboxRow.published_at.is_not(None)))
            arrived = {(await numbers(queue, 1))[0]}
            while arrived != {1, 2}:  # what was sent before the refusal is sent once more
                arrived |= set(await numbers(queue, 1))

    quarantined = [row for row in await source.rows() if row.quarantined_at]
    assert [row.topic for row in quarantined] == [BeamRaised.topic]
    assert QUARANTINED._value.get() == before + 1


async def test_an_event_that_cannot_be_encoded_is_quarantined_at_once(source: EventSource):
    await source.write(a_stone(1), a_stone(2))
    async with source.engine.begin() as tx:
        await tx.execute(text("UPDATE outbox SET topic = repeat('x', 300) WHERE seq = 1"))

    await source.relay.send_batch()

    first, second = await source.rows()
    assert (first.quarantined_at is not None, first.published_at) == (True, None)
    assert second.published_at is not None


async def test_a_message_the_broker_refuses_for_its_own_sake_is_distinguished(source: EventSource):
    forged = message_of(a_stone(), user_id="carpentry")

    (outcome,) = await source.publisher.publish([Outgoing(forged, topology.EVENTS, "masonry.x")])

    assert isinstance(outcome, ChannelPreconditionFailed)
    assert is_own_fault(outcome, alone=True)
    assert not is_own_fault(outcome, alone=False)
    assert needs_singling_out([None, outcome])


async def test_one_of_two_relays_sends_and_the_other_takes_over(source: EventSource):
    second = Publisher(source.amqp_url, timeout=PATIENCE)
    standby = Relay(source.engine, second, "masonry", poll_seconds=0.1)

    async with open_queue(source.admin_url) as queue, working(standby.run()):
        async with working(source.relay.run()):
            await source.write(*(a_stone(n) for n in range(300)))
            await eventually(lambda: _none_left(source))
        await source.write(a_stone(300))
        arrived = await numbers(queue, 301)
        assert await queue.get(fail=False) is None
    await second.close()

    assert sorted(arrived) == list(range(301))


async def test_a_relay_stands_by_while_another_holds_the_lock(source: EventSource):
    await source.write(a_stone())
    async with source.engine.begin() as tx:
        await tx.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": 0x7461_6177_6F6E})

        sent = await source.relay.send_batch()

    assert (sent.count, await source.unsent()) == (0, 1)


async def test_a_commit_wakes_the_relay_long_before_it_polls(
    vhost: Vhost, databases: TestDatabases
):
    url = databases.kernel()
    async with (
        event_source(vhost.admin_url, vhost.url("masonry"), url, poll_seconds=2 * PATIENCE) as made,
        open_queue(made.admin_url) as queue,
        working(made.relay.run()),
    ):
        await eventually(lambda: _listens(made))
        started = time.monotonic()
        await made.write(a_stone())
        await received(queue)

    assert time.monotonic() - started < PATIENCE


async def write_apart(url: str, event: Event) -> None:
    """Write the event over a connection of its own, so that the relay's pool is left alone."""
    engine = make_engine(url)
    async with make_sessions(engine).begin() as session:
        outbox.add(session, event)
    await engine.dispose()


async def test_the_relay_recovers_from_cut_database_connections(source: EventSource):
    async with open_queue(source.admin_url) as queue, working(source.relay.run()):
        await source.write(a_stone(1))
        first = await numbers(queue, 1)
        await eventually(source.all_sent)
        await drop_sessions(source.database_url)
        await write_apart(source.database_url, a_stone(2))
        second = await numbers(queue, 1)

    assert (first, second) == ([1], [2])


async def test_a_broker_that_stops_and_starts_again_loses_nothing(own_broker, databases):
    url = own_broker.url_of("masonry")
    async with event_source(own_broker.admin_url(), url, databases.kernel()) as made:
        async with channel_of(made.admin_url) as channel:
            queue = await channel.declare_queue("wall", durable=True)
            await queue.bind(topology.EVENTS, "masonry.#")
        async with working(made.relay.run()):
            await made.write(a_stone(0))
            await eventually(lambda: _none_left(made))
            await asyncio.to_thread(own_broker.found.server.stop)
            await made.write(*(a_stone(n) for n in range(1, 50)))
            await eventually(lambda: made.count(OutboxRow.attempts > 0))
            await asyncio.to_thread(own_broker.found.server.start)
            await eventually(lambda: _none_left(made))
        async with channel_of(made.admin_url) as channel:
            wall = await channel.get_queue("wall")
            arrived = set(await numbers(wall, 50))

    assert arrived == set(range(50))
    assert await made.count() == 50


async def _none_left(made: EventSource) -> bool:
    return await made.unsent() == 0


async def _listens(made: EventSource) -> bool:
    async with made.engine.connect() as connection:
        found = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                " AND datname = current_database()"
            )
        )
    return bool(found)
