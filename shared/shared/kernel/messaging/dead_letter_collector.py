"""Moves dead letters from their queues into the table: insert, commit, then acknowledge.

Reading a dead-letter queue by get and requeue would lose messages, for redeliveries are limited. So
while the database is away the collector keeps the messages that it has received.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import aio_pika
import structlog
from aio_pika.abc import AbstractQueue

from shared.kernel.data.database import Sessions, is_infrastructure, outlasting
from shared.kernel.sleep import rest

from . import dead_letters, topology
from .addresses import dead_queue
from .consumers import Consumer
from .publisher import CONNECTION_ERRORS

log = structlog.get_logger()


@dataclass
class DeadLetterCollector:
    """Moves the dead letters of one service into its table. `pause` is seconds between attempts."""

    sessions: Sessions
    amqp_url: str
    consumers: tuple[Consumer, ...]
    pause: float

    async def run(self) -> None:
        """Run until cancelled; it waits for a broker or database that is away."""
        settle = 0.0
        while True:
            try:
                await self._consume(settle)
            except Exception as error:
                if not _is_away(error):
                    log.exception("dead letter collector failed")
            settle = topology.SETTLE_SECONDS
            await rest(self.pause)

    async def _consume(self, settle: float) -> None:
        async with asyncio.timeout(5):
            connection = await aio_pika.connect(self.amqp_url)
        async with connection:
            await rest(settle)
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=20)
            async with asyncio.TaskGroup() as group:
                for consumer in self.consumers:
                    dead = await channel.get_queue(dead_queue(consumer.queue))
                    group.create_task(self._collect(consumer, dead))

    async def _collect(self, consumer: Consumer, dead: AbstractQueue) -> None:
        messages = dead.iterator()
        async with asyncio.timeout(topology.ANSWER_SECONDS):
            await messages.consume()
        async with messages:
            async for message in messages:
                work = partial(
                    dead_letters.keep,
                    queue=consumer.queue,
                    message=message,
                    takes=consumer.events,
                )
                await outlasting(self.sessions, work, self.pause)
                await message.ack()


def _is_away(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_away(part) for part in error.exceptions)
    return is_infrastructure(error) or isinstance(error, CONNECTION_ERRORS)
