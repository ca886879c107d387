"""Consuming: messages per second with inbox and one write, ours and written by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import aio_pika
import asyncpg
from aio_pika.abc import AbstractIncomingMessage
from faststream.rabbit import RabbitBroker
from faststream.rabbit.annotations import RabbitMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.registry import PartnerRegistered
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.messaging.consumers import Consumer, Consumers
from shared.kernel.messaging.message_processor import MessageProcessor
from shared.kernel.messaging.publisher import Publisher

from . import bench_kernel
from .measured_system import BENCH_VHOST, PATIENCE, Broken, MeasuredSystem, in_turns, plain
from .rows import Row, Sense, compared

BUDGET = 0.8
PREFETCH = 10
consumers = Consumers("notifications")
_NOTE = text("INSERT INTO note (event_id, slug) VALUES (:event_id, :slug)")
_INBOX = (
    "INSERT INTO inbox (queue, event_id, run) VALUES ($1, $2, '') ON CONFLICT DO NOTHING"
    " RETURNING event_id"
)


@consumers.on(PartnerRegistered, prefetch=PREFETCH, queue="note_partner")
async def note_partner(event: PartnerRegistered, session: AsyncSession) -> None:
    """One row of one table."""
    await session.execute(_NOTE, {"event_id": event.event_id, "slug": event.slug})


QUEUE = consumers.consumers[0].queue


async def measure(system: MeasuredSystem) -> list[Row]:
    """Rates of both, each on a full queue."""
    await bench_kernel.prepare(system, consumers)
    async with system.database(bench_kernel.DATABASE) as database:

        async def ours() -> float:
            return await _rate(system, database, lambda: _ours(system))

        async def by_hand() -> float:
            return await _rate(system, database, lambda: _by_hand(system))

        rates, bare = await in_turns(system, system.sizes.rounds, ours, by_hand)
    return [
        compared(
            "consumer: inbox and one write",
            rates,
            bare,
            unit="messages/s",
            budget=BUDGET,
            sense=Sense.AT_LEAST,
            note=f"÷ the same transaction by hand, aio-pika and asyncpg; prefetch {PREFETCH} both",
        )
    ]


async def _rate(
    system: MeasuredSystem, database: asyncpg.Connection, consume: Callable[[], Awaitable[float]]
) -> float:
    await bench_kernel.empty(system, database, QUEUE)
    async with system.publisher("registry", BENCH_VHOST) as publisher:
        events = [bench_kernel.outgoing(bench_kernel.event()) for _ in range(system.sizes.messages)]
        for start in range(0, len(events), 500):
            await publisher.publish(events[start : start + 500])
    seconds = await consume()
    if await database.fetchval("SELECT count(*) FROM note") != system.sizes.messages:
        raise Broken("the consumer lost messages or took some twice")
    return system.sizes.messages / seconds


async def _ours(system: MeasuredSystem) -> float:
    """Our consumer, as a service attaches it."""
    url = system.stack.broker.url_of("notifications", vhost=BENCH_VHOST)
    engine = make_engine(system.database_url(bench_kernel.DATABASE))
    publisher = Publisher(url, name="benchmark processor")
    processor = MessageProcessor(
        make_sessions(engine), publisher, "notifications", bench_kernel.DELAYS
    )
    broker = RabbitBroker(url, logger=None, apply_types=False)
    left, finished = system.sizes.messages, asyncio.Event()

    async def process(consumer: Consumer, message: RabbitMessage) -> None:
        nonlocal left
        await processor.process(consumer, message)
        left -= 1
        if not left:
            finished.set()

    consumers.attach(broker, process)
    await broker.connect()
    began = time.perf_counter()
    await broker.start()
    await asyncio.wait_for(finished.wait(), PATIENCE)
    seconds = time.perf_counter() - began
    await broker.stop()
    await publisher.close()
    await engine.dispose()
    return seconds


async def _by_hand(system: MeasuredSystem) -> float:
    """What somebody writes who needs this one consumer and nothing else."""
    connection = await aio_pika.connect(
        system.stack.broker.url_of("notifications", vhost=BENCH_VHOST)
    )
    database_url = plain(system.database_url(bench_kernel.DATABASE))
    async with connection, asyncpg.create_pool(database_url, min_size=PREFETCH) as pool:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(QUEUE, ensure=False)
        left, finished = system.sizes.messages, asyncio.Event()

        async def process(message: AbstractIncomingMessage) -> None:
            nonlocal left
            event = PartnerRegistered.model_validate_json(message.body)
            event_id = UUID(message.message_id)
            async with pool.acquire() as database, database.transaction():
                if await database.fetchval(_INBOX, QUEUE, event_id):
                    await database.execute(bench_kernel.NOTE, event_id, event.slug)
            await message.ack()
            left -= 1
            if not left:
                finished.set()

        began = time.perf_counter()
        await queue.consume(process)
        await asyncio.wait_for(finished.wait(), PATIENCE)
        return time.perf_counter() - began
