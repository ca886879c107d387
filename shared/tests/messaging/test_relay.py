"""The relay on a real broker and database: persistent, ordered, once marked never lost."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import ClassVar
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from shared import context
from shared.contracts.base import Event
from shared.database import make_engine, make_sessions
from shared.messaging import outbox, topology
from shared.messaging.publisher import Publisher
from shared.messaging.relay import Relay
from shared.messaging.tables import OutboxRow
from shared.testing import TestDatabases, Vhost, eventually
from sqlalchemy import func, select, text


class StoneLaid(Event):
    """A stone was laid."""

    topic: ClassVar[str] = "masonry.stone.laid.v1"
    aggregate_field: ClassVar[str] = "stone_id"

    stone_id: UUID
    number: int = 0


@pytest.fixture
async def masonry(
    databases: TestDatabases, vhosts: Callable[..., Vhost]
) -> AsyncIterator[SimpleNamespace]:
    vhost = vhosts("masonry")
    await topology.apply(vhost.admin_url, [0.1], [])
    engine = make_engine(databases.kernel())
    publisher = Publisher(vhost.url("masonry"), timeout=5)
    relay = Relay(engine, publisher, "masonry", poll_seconds=0.1)
    yield SimpleNamespace(
        vhost=vhost, engine=engine, sessions=make_sessions(engine), relay=relay, publisher=publisher
    )
    await publisher.close()
    await engine.dispose()


@asynccontextmanager
async def listening(vhost: Vhost, topic: str = "masonry.#") -> AsyncIterator[AbstractQueue]:
    connection = await aio_pika.connect(vhost.admin_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"seen-{uuid.uuid4().hex[:6]}", exclusive=True)
        await queue.bind(topology.EVENTS, topic)
        yield queue


async def received(queue: AbstractQueue) -> AbstractIncomingMessage:
    message = await eventually(lambda: queue.get(fail=False))
    await message.ack()
    return message


async def test_a_fact_arrives_persistent_with_its_own_id_and_context(masonry):
    event = StoneLaid(stone_id=uuid.uuid4())
    work = context.WorkContext.of(correlation_id="order-7", causation_id="c-1")

    async with listening(masonry.vhost) as queue:
        with context.working(work):
            async with masonry.sessions.begin() as session:
                outbox.add(session, event)
        await masonry.relay.send_batch()
        message = await received(queue)

    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (message.message_id, message.type) == (str(event.event_id), event.topic)
    assert message.headers["cloudEvents_id"] == str(event.event_id)
    assert message.headers["cloudEvents_correlationid"] == "order-7"
    assert message.headers["traceparent"].split("-")[1] == work.traceparent.split("-")[1]
    assert message.user_id == "masonry"
