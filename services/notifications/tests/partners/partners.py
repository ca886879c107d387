"""A partner for tests: its subscription, its feed, and a queue on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime

import aio_pika
from sqlalchemy import text

from devkit.pytest_plugin import PATIENCE
from notifications.partners import handlers as partners_handlers
from notifications.partners.gap_collector import collect_gaps
from notifications.partners.queries.partner_ledger import gaps_of, partner_entries
from notifications.partners.usecases import feed_delivery, gaps
from notifications.partners.usecases.partner_queue import DROPPED, PARTNER_VHOST
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.messaging.publisher import Publisher

from ..commands import handler_of

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def partner(tokens, slug="indh"):
    return tokens.headers("partner", partner=slug)


async def subscribed(api, tokens, slug="indh"):
    answer = await api.http.post("/subscriptions", json={}, headers=partner(tokens, slug))
    assert answer.status_code == 201, answer.text
    return answer.json()["subscription_id"]


async def fed(sessions, *events):
    """Events as partners get them once the fan-out of their subjects has seen them."""
    for event in events:
        async with sessions.begin() as session:
            await handler_of(event)(event, session)
        async with sessions.begin() as session:
            await partners_handlers.feed_partners(event, session)


async def ledger(api, headers, slug="indh", status=200, **parameters):
    answer = await api.http.get(f"/partners/{slug}/ledger", params=parameters, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


class ServedPartner:
    """A partner whose queue on a real broker holds four messages, and what serves it."""

    def __init__(self, sessions, rabbitmq, partner_queue, password):
        self.sessions, self.partner_queue, self._password = sessions, partner_queue, password
        self.broker = rabbitmq
        self.service_url = rabbitmq.url_of("notifications", vhost=PARTNER_VHOST)
        self.partner_url = rabbitmq.found.amqp_url(partner_queue.username, password, PARTNER_VHOST)
        self.caller = Principal(
            subject=uuid.uuid4(), roles=frozenset({Role.PARTNER}), partner=partner_queue.slug
        )

    async def deliver(self):
        """Send the feed to the queue until nothing is left to send."""
        publisher = Publisher(self.service_url, 10, "test")
        try:
            while await feed_delivery.deliver_feed(self.sessions, publisher):
                pass
        finally:
            await publisher.close()

    @contextlib.asynccontextmanager
    async def collecting(self):
        """Collect what the queue drops, meanwhile."""
        task = asyncio.create_task(collect_gaps(self.sessions, self.service_url, pause=0.05))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def gaps(self, only_open=True):
        async with self.sessions() as session:
            found = await gaps_of(session, self.partner_queue.slug, only_open=only_open)
        return [(gap.first_position, gap.last_position, gap.reason) for gap in found]

    async def entries(self):
        async with self.sessions() as session:
            return await partner_entries(session, self.partner_queue.slug, after=0, limit=100)

    async def read(self, count, *, reject=False):
        """The next messages, with the partner's own login."""
        connection = await aio_pika.connect(self.partner_url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(self.partner_queue.queue, ensure=False)
            received = []
            async with queue.iterator(timeout=PATIENCE) as arriving:
                async for message in arriving:
                    await (message.reject(requeue=False) if reject else message.ack())
                    received.append(message)
                    if len(received) == count:
                        return received
        return received

    async def dropped(self):
        """The next message that the queue dropped, as the collector would see it."""
        connection = await aio_pika.connect(self.service_url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(DROPPED, ensure=False)
            message = await queue.get()
            await message.ack()
        return message

    async def request_replay(self, first, last=None):
        async with self.sessions.begin() as session:
            return await gaps.request_replay(session, self.caller, first=first, last=last)

    async def times_of_gaps(self):
        """Each position with a gap, and how often it was dropped."""
        async with self.sessions() as session:
            rows = await session.execute(
                text("SELECT position, times FROM feed_gap ORDER BY position")
            )
            return [tuple(row) for row in rows]


async def nothing_dropped_waits(served):
    """Whether the queue of dropped messages is empty; only an administrator may look."""
    connection = await aio_pika.connect(served.broker.admin_url(PARTNER_VHOST))
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(DROPPED, passive=True)
        return queue.declaration_result.message_count == 0
