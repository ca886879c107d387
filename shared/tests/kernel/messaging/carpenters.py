"""A service with one consumer, which does what a test tells its handler to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import TestDatabases, Vhost, eventually
from shared.errors import Conflict
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import outbox
from shared.kernel.messaging.consumers import Consumers

from .harness import BeamRaised, RunningService, StoneLaid, message_of, post, running_service

QUEUE = "carpentry.raise_beam"


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


async def is_now(count: Any, expected: int) -> bool:
    return bool(await count == expected)
