"""A queue, a database and events for the rows that measure the kernel without a service."""

from __future__ import annotations

from datetime import UTC, datetime

import aio_pika
import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from shared.contracts.base import new_id
from shared.contracts.registry import PartnerRegistered
from shared.kernel.data.tables import metadata
from shared.kernel.messaging import topology, wire
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import Outgoing
from shared.kernel.messaging.topology import EVENTS

from .measured_system import BENCH_VHOST, MeasuredSystem

DATABASE = "bench"
DELAYS = (5.0,)
_FILLER = "é" * 400
NOTE = "INSERT INTO note (event_id, slug) VALUES ($1, $2)"


async def prepare(system: MeasuredSystem, consumers: Consumers) -> None:
    """Make the kernel's tables, one table to write to, and the queues of these consumers."""
    url = system.database_url(DATABASE)
    engine = create_async_engine(url)
    async with engine.begin() as tx:
        await tx.run_sync(metadata.create_all)
    await engine.dispose()
    async with system.database(DATABASE) as database:
        await database.execute(
            "CREATE TABLE IF NOT EXISTS note (event_id uuid PRIMARY KEY, slug text NOT NULL)"
        )
    admin = system.stack.broker.admin_url(BENCH_VHOST)
    await topology.apply(admin, DELAYS, consumers.consumers)


async def empty(system: MeasuredSystem, database: asyncpg.Connection, queue: str) -> None:
    """Remove what an earlier measure left in the tables and in the queue."""
    await database.execute("TRUNCATE inbox, outbox, note")
    connection = await aio_pika.connect(system.stack.broker.admin_url(BENCH_VHOST))
    async with connection:
        channel = await connection.channel()
        await (await channel.get_queue(queue, ensure=False)).purge()
    await system.checkpoint()


def event() -> PartnerRegistered:
    """An event of about a thousand bytes."""
    return PartnerRegistered(
        partner_id=new_id(),
        slug="indh",
        name={"fr": _FILLER, "ar": _FILLER},
        kind="programme",
    )


def outgoing(event: PartnerRegistered) -> Outgoing:
    """The event as the registry's relay sends it."""
    message = wire.message(
        event_id=event.event_id,
        topic=event.topic,
        occurred_at=datetime.now(UTC),
        body=event.model_dump_json().encode(),
        headers={},
        service="registry",
        user="registry",
    )
    return Outgoing(message, EVENTS, event.topic)
