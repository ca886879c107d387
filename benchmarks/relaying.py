"""Relaying: outbox rows sent per second, and a bare publisher with pipelined confirms."""

from __future__ import annotations

import asyncio
import time

import aio_pika
import asyncpg

from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.messaging import outbox
from shared.kernel.messaging.relay import Relay

from . import bench_kernel
from .consuming import QUEUE, consumers
from .measured_system import BENCH_VHOST, Broken, MeasuredSystem, in_turns
from .rows import Row, compared

BATCH = 100


async def measure(system: MeasuredSystem) -> list[Row]:
    """Rates of both, with the same messages in flight at once."""
    await bench_kernel.prepare(system, consumers)
    async with system.database(bench_kernel.DATABASE) as database:
        rates, bare = await in_turns(
            system,
            system.sizes.rounds,
            lambda: _ours(system, database),
            lambda: _bare(system, database),
        )
    return [
        compared(
            "relay: outbox rows published",
            rates,
            bare,
            unit="messages/s",
            note=f"÷ a bare publisher with {BATCH} confirms in flight, which keeps no outbox",
        )
    ]


async def _ours(system: MeasuredSystem, database: asyncpg.Connection) -> float:
    """Read, publish and mark, batch by batch, as the relay of a service does."""
    await bench_kernel.empty(system, database, QUEUE)
    engine = make_engine(system.database_url(bench_kernel.DATABASE))
    async with make_sessions(engine).begin() as session:
        for _ in range(system.sizes.messages):
            outbox.add(session, bench_kernel.event())
    sent = 0
    async with system.publisher("registry", BENCH_VHOST) as publisher:
        relay = Relay(engine, publisher, "registry", batch=BATCH)
        began = time.perf_counter()
        while batch := (await relay.send_batch()).count:
            sent += batch
        seconds = time.perf_counter() - began
    await engine.dispose()
    if sent != system.sizes.messages:
        raise Broken(f"the relay sent {sent} of {system.sizes.messages} events")
    return sent / seconds


async def _bare(system: MeasuredSystem, database: asyncpg.Connection) -> float:
    """Messages that are made already, to the same exchange and queue."""
    await bench_kernel.empty(system, database, QUEUE)
    events = [bench_kernel.outgoing(bench_kernel.event()) for _ in range(system.sizes.messages)]
    url = system.stack.broker.url_of("registry", vhost=BENCH_VHOST)
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange(events[0].exchange, ensure=False)
        began = time.perf_counter()
        for start in range(0, len(events), BATCH):
            await asyncio.gather(
                *(
                    exchange.publish(event.message, event.routing_key, mandatory=True)
                    for event in events[start : start + BATCH]
                )
            )
        return len(events) / (time.perf_counter() - began)
