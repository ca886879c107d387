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
from .rows import Row, compared
from .testbed import BENCH_VHOST, Broken, Testbed, in_turns

BATCH = 100


async def measure(testbed: Testbed) -> list[Row]:
    """Rates of both, with the same messages in flight at once."""
    await bench_kernel.prepare(testbed, consumers)
    async with testbed.database(bench_kernel.DATABASE) as database:
        rates, bare = await in_turns(
            testbed,
            testbed.sizes.rounds,
            lambda: _ours(testbed, database),
            lambda: _bare(testbed, database),
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


async def _ours(testbed: Testbed, database: asyncpg.Connection) -> float:
    """Read, publish and mark, batch by batch, as the relay of a service does."""
    await bench_kernel.empty(testbed, database, QUEUE)
    engine = make_engine(testbed.database_url(bench_kernel.DATABASE))
    async with make_sessions(engine).begin() as session:
        for _ in range(testbed.sizes.messages):
            outbox.add(session, bench_kernel.event())
    sent = 0
    async with testbed.publisher("registry", BENCH_VHOST) as publisher:
        relay = Relay(engine, publisher, "registry", batch=BATCH)
        began = time.perf_counter()
        while batch := (await relay.send_batch()).count:
            sent += batch
        seconds = time.perf_counter() - began
    await engine.dispose()
    if sent != testbed.sizes.messages:
        raise Broken(f"the relay sent {sent} of {testbed.sizes.messages} events")
    return sent / seconds


async def _bare(testbed: Testbed, database: asyncpg.Connection) -> float:
    """Messages that are made already, to the same exchange and queue."""
    await bench_kernel.empty(testbed, database, QUEUE)
    events = [bench_kernel.outgoing(bench_kernel.event()) for _ in range(testbed.sizes.messages)]
    url = testbed.stack.broker.url_of("registry", vhost=BENCH_VHOST)
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
