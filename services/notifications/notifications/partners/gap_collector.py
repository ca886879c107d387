"""Collecting what partner queues dropped: stored, committed, then acknowledged."""

from __future__ import annotations

import asyncio
from functools import partial

import aio_pika
import structlog
from aio_pika.abc import AbstractIncomingMessage

from shared.kernel import failpoints
from shared.kernel.data.database import Sessions, is_infrastructure, outlasting
from shared.kernel.messaging import topology
from shared.kernel.messaging.publisher import CONNECTION_ERRORS
from shared.kernel.outage_causes import of_either
from shared.kernel.sleep import rest

from .usecases import gaps
from .usecases.partner_queue import DROPPED

log = structlog.get_logger()

BATCH = 500


async def collect_gaps(sessions: Sessions, url: str, *, pause: float) -> None:
    """Store what partner queues dropped as gaps, until cancelled.

    `pause` is the seconds between two attempts during an outage. A message that comes twice, as
    after a crash, changes nothing.
    """
    away = False
    while True:
        try:
            await _consume(sessions, url, pause)
            away = False
        except Exception as error:
            if not (is_infrastructure(error) or isinstance(error, CONNECTION_ERRORS)):
                log.exception("gap collector failed")
            elif not away:
                log.warning("dropped messages wait", cause=str(of_either(error)))
                away = True
        await rest(pause)


async def _consume(sessions: Sessions, url: str, pause: float) -> None:
    async with asyncio.timeout(5):
        connection = await aio_pika.connect(url)
    lost = asyncio.Event()
    connection.close_callbacks.add(lambda *_: lost.set())
    async with connection:
        channel = await connection.channel()
        channel.close_callbacks.add(lambda *_: lost.set())
        await channel.set_qos(prefetch_count=BATCH)
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        async with asyncio.timeout(topology.ANSWER_SECONDS):
            queue = await channel.get_queue(DROPPED, ensure=False)
            await queue.consume(arrived.put)
        while not lost.is_set():
            batch = await _next_batch(arrived, lost)
            if batch:
                await _store(sessions, batch, pause)


async def _next_batch(
    arrived: asyncio.Queue[AbstractIncomingMessage], lost: asyncio.Event
) -> list[AbstractIncomingMessage]:
    """What has arrived, once something has; empty when the connection is lost."""
    getting, losing = asyncio.create_task(arrived.get()), asyncio.create_task(lost.wait())
    try:
        done, _ = await asyncio.wait({getting, losing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        losing.cancel()
        if not getting.done():
            getting.cancel()
    if getting not in done:
        return []
    batch = [getting.result()]
    while len(batch) < BATCH and not arrived.empty():
        batch.append(arrived.get_nowait())
    return batch


async def _store(sessions: Sessions, batch: list[AbstractIncomingMessage], pause: float) -> None:
    read = [gaps.Drop.read(message.headers) for message in batch]
    drops = [drop for drop in read if drop is not None]
    if len(drops) < len(batch):
        log.warning("dropped messages that name no position", messages=len(batch) - len(drops))
    await outlasting(sessions, partial(gaps.store_gaps, drops=drops), pause)
    failpoints.reach("gaps.between-commit-and-ack")
    # In the order of arrival, so the last one acknowledges every one before it.
    await batch[-1].ack(multiple=True)
