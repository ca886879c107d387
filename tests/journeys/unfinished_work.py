"""What a running system has still to do; nothing of it remains where nothing was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from devkit.stack_layout import SERVICES
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import VHOST
from shared.kernel.service.spec import installed_consumers

from .stories import Story

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)

_TROUBLE = {
    "SELECT count(*) FROM partner_queue JOIN partner USING (slug)"
    " WHERE delivered_position < last_position": "partner queues are behind their feeds",
    "SELECT count(*) FROM audience_change": "changes of the audience are not matched yet",
}
"""Queries for what notifications should have none of, and what each counts."""


@dataclass(frozen=True)
class Backlog:
    """What a queue has: waiting, and handed to a consumer that has not said it is done."""

    waiting: int
    held: int


class UnfinishedWork:
    """Looks for events and messages that are not yet handled, and describes each in words."""

    def __init__(self, story: Story) -> None:
        self.story = story

    async def everything(self) -> AsyncIterator[str]:
        async for left in self.events():
            yield left
        async for left in self.queues():
            yield left

    async def events(self, since: datetime = ALWAYS) -> AsyncIterator[str]:
        """What the databases say of the events written since then."""
        for service in SERVICES:
            if unsent := await self.unsent(service):
                yield f"{service} has {unsent} events to send"
            if dead := await self._count(service, "SELECT count(*) FROM dead_letter"):
                yield f"{service} has {dead} dead letters"
        for queue, count in (await self._unhandled(since)).items():
            yield f"{queue} has not handled {count} events"
        for query, what in _TROUBLE.items():
            if count := await self._count("notifications", query):
                yield f"{count} {what}"

    async def queues(self) -> AsyncIterator[str]:
        """What the broker counts, which may be some seconds late."""
        for queue, backlog in (await self.backlogs()).items():
            if queue != topology.UNROUTED and backlog != Backlog(0, 0):
                yield f"{queue} has {backlog}"

    async def backlogs(self) -> dict[str, Backlog]:
        path = f"queues/{VHOST}?disable_stats=true&enable_queue_totals=true"
        rows = await asyncio.to_thread(self.story.stack.broker.management.get, path)
        return {
            row["name"]: Backlog(row["messages_ready"], row["messages_unacknowledged"])
            for row in rows
            if "messages_ready" in row  # missing as long as the queue itself is starting
        }

    async def unsent(self, service: str) -> int:
        """Events in the outbox that the broker has not confirmed."""
        return await self._count(service, "SELECT count(*) FROM outbox WHERE published_at IS NULL")

    async def _count(self, service: str, query: str) -> int:
        async with self.story.database(service) as connection:
            return int(await connection.fetchval(query))

    async def _unhandled(self, since: datetime) -> dict[str, int]:
        """How many events each consumer should have dealt with, and has not."""
        published = await self._published(since)
        missing = {}
        for consumer in installed_consumers():
            meant = {event_id for topic, event_id in published if topic in consumer.topics}
            handled = await self._handled(consumer.queue, since)
            missing[consumer.queue] = len(meant - handled)
        return {queue: count for queue, count in missing.items() if count}

    async def _published(self, since: datetime) -> list[tuple[str, UUID]]:
        """Topic and id of every event in an outbox."""
        found: list[tuple[str, UUID]] = []
        for service in SERVICES:
            async with self.story.database(service) as connection:
                query = "SELECT topic, event_id FROM outbox WHERE created_at >= $1"
                rows = await connection.fetch(query, since)
                found += [(row["topic"], row["event_id"]) for row in rows]
        return found

    async def _handled(self, queue: str, since: datetime) -> set[UUID]:
        async with self.story.database(queue.partition(".")[0]) as connection:
            query = "SELECT event_id FROM inbox WHERE queue = $1 AND received_at >= $2"
            return {row["event_id"] for row in await connection.fetch(query, queue, since)}
