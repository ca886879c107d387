"""Two made-up services, masonry and carpentry: events, processes, and a client of the broker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from devkit.pytest_plugin import PATIENCE, eventually, test_settings
from shared.contracts.base import Event
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.messaging import outbox, topology, wire
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.message_processor import MessageProcessor
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.messaging.relay import Relay
from shared.kernel.runtime import Runtime
from shared.kernel.service.background import collect_dead_letters
from shared.kernel.service.consuming import keep_consuming
from shared.kernel.service.lifespan import assemble
from shared.kernel.service.spec import ServiceSpec

DELAYS = (0.1, 0.2)


class StoneLaid(Event):
    """A stone was laid."""

    topic: ClassVar[str] = "masonry.stone.laid.v1"
    aggregate_field: ClassVar[str] = "stone_id"

    stone_id: UUID
    number: int = 0


class StoneCut(Event):
    """A stone was cut."""

    topic: ClassVar[str] = "masonry.stone.cut.v1"
    aggregate_field: ClassVar[str] = "stone_id"

    stone_id: UUID


class BeamRaised(Event):
    """A beam was raised: an event of carpentry, which masonry may not publish."""

    topic: ClassVar[str] = "carpentry.beam.raised.v1"
    aggregate_field: ClassVar[str] = "beam_id"

    beam_id: UUID


def a_stone(number: int = 0, stone_id: UUID | None = None) -> StoneLaid:
    return StoneLaid(stone_id=stone_id or uuid.uuid4(), number=number)


@dataclass
class EventSource:
    """The service that publishes: its database, its connection to the broker, its relay."""

    admin_url: str
    database_url: str
    amqp_url: str
    engine: AsyncEngine
    sessions: Sessions
    publisher: Publisher
    relay: Relay

    async def write(self, *events: Event) -> None:
        """Commit events to the outbox in this order."""
        async with self.sessions.begin() as session:
            for event in events:
                outbox.add(session, event)
                await session.flush()

    async def rows(self) -> list[OutboxRow]:
        async with self.sessions() as session:
            return list(await session.scalars(select(OutboxRow).order_by(OutboxRow.seq)))

    async def count(self, *conditions: Any) -> int:
        async with self.sessions() as session:
            query = select(func.count()).select_from(OutboxRow).where(*conditions)
            return int(await session.scalar(query) or 0)

    async def unsent(self) -> int:
        return await self.count(OutboxRow.published_at.is_(None))

    async def all_sent(self) -> bool:
        return await self.unsent() == 0

    async def publish(self, *events: Event) -> None:
        """Write events and wait for the relay to send them all."""
        await self.write(*events)
        while (await self.relay.send_batch()).count:
            pass
        assert await self.unsent() == 0


@asynccontextmanager
async def event_source(
    admin_url: str, amqp_url: str, database_url: str, *, consumers: Iterable[Any] = (), **relay: Any
) -> AsyncIterator[EventSource]:
    await topology.apply(admin_url, DELAYS, consumers)
    engine = make_engine(database_url)
    publisher = Publisher(amqp_url, timeout=PATIENCE)
    try:
        yield EventSource(
            admin_url=admin_url,
            database_url=database_url,
            amqp_url=amqp_url,
            engine=engine,
            sessions=make_sessions(engine),
            publisher=publisher,
            relay=Relay(engine, publisher, "masonry", **{"poll_seconds": 0.1, **relay}),
        )
    finally:
        await publisher.close()
        await engine.dispose()


@asynccontextmanager
async def working(*jobs: Any) -> AsyncIterator[None]:
    """Run these coroutines inside; cancel them and wait for their end afterwards."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def channel_of(url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel(on_return_raises=True)


@asynccontextmanager
async def open_queue(admin_url: str, topic: str = "#") -> AsyncIterator[AbstractQueue]:
    """A queue that receives the events of a topic that are published inside."""
    async with channel_of(admin_url) as channel:
        queue = await channel.declare_queue(f"seen-{uuid.uuid4().hex[:6]}", exclusive=True)
        await queue.bind(topology.EVENTS, topic)
        yield queue


async def received(queue: AbstractQueue) -> AbstractIncomingMessage:
    message = await eventually(lambda: queue.get(fail=False))
    await message.ack()
    return message


async def numbers(queue: AbstractQueue, many: int) -> list[int]:
    """The numbers of so many stones, in order of arrival."""
    messages = [await received(queue) for _ in range(many)]
    return [StoneLaid.model_validate_json(message.body).number for message in messages]


@dataclass
class RunningService:
    """A service that consumes: its runtime, and the addresses of its servers."""

    runtime: Runtime
    sessions: Sessions
    admin_url: str
    amqp_url: str
    database_url: str

    @property
    def processor(self) -> MessageProcessor:
        assert self.runtime.processor is not None
        return self.runtime.processor

    async def count(self, table: Any) -> int:
        """How many rows the table has."""
        async with self.sessions() as session:
            return int(await session.scalar(select(func.count()).select_from(table)) or 0)

    async def dead_letters(self, state: str = "dead") -> list[DeadLetterRow]:
        """The dead letters in this state, the oldest first."""
        query = select(DeadLetterRow).where(DeadLetterRow.state == state)
        async with self.sessions() as session:
            return list(await session.scalars(query.order_by(DeadLetterRow.id)))


@asynccontextmanager
async def running_service(
    consumers: Consumers, admin_url: str, amqp_url: str, database_url: str, **overrides: Any
) -> AsyncIterator[RunningService]:
    """Run a service as in production, with consumers and collector, but without its relay."""
    await topology.apply(admin_url, DELAYS, consumers.consumers)
    settings = test_settings(
        consumers.service,
        database_url,
        amqp_url=amqp_url,
        **{"retry_delays": DELAYS, "probe_seconds": 0.1, "graceful_seconds": 60, **overrides},
    )
    engine = make_engine(database_url)
    runtime = assemble(ServiceSpec(name=settings.service, consumers=consumers), settings, engine)
    try:
        async with working(
            keep_consuming(runtime, consumers), collect_dead_letters(runtime, consumers)
        ):
            await eventually(lambda: runtime.consuming)
            yield RunningService(runtime, runtime.sessions, admin_url, amqp_url, database_url)
    finally:
        assert runtime.publisher is not None
        await runtime.publisher.close()
        await engine.dispose()


def message_of(event: Event, **changes: Any) -> aio_pika.Message:
    """The event as the relay sends it; `changes` are properties that differ."""
    made = wire.message(
        event_id=event.event_id,
        topic=event.topic,
        occurred_at=event.occurred_at,
        body=event.model_dump_json().encode(),
        headers={},
        service="masonry",
        user="masonry",
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


async def post(
    url: str, message: aio_pika.Message, topic: str, exchange: str = topology.EVENTS
) -> None:
    async with channel_of(url) as channel:
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(message, topic)


async def depth(admin_url: str, queue: str) -> int:
    """How many messages are ready in the queue."""
    async with channel_of(admin_url) as channel:
        found = await channel.declare_queue(queue, passive=True)
        return int(found.declaration_result.message_count or 0)
