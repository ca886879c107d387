"""The publisher: many messages at once on one channel, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

from devkit.pytest_plugin import PATIENCE, eventually
from shared.kernel.messaging import topology
from shared.kernel.messaging.publisher import Outgoing, Publisher, Unroutable

from .harness import EventSource, StoneLaid, a_stone, message_of

NOWHERE = "masonry.no_such_queue"


def published() -> Outgoing:
    return Outgoing(message_of(a_stone()), topology.EVENTS, StoneLaid.topic)


async def test_one_message_sent_two_ways_at_once_has_two_outcomes(source: EventSource):
    """As where two consumers fail on one event: it goes to two exchanges under one id."""
    message = message_of(a_stone())
    ways = [
        Outgoing(message, topology.DEAD, NOWHERE),
        Outgoing(message, topology.EVENTS, StoneLaid.topic),
    ]

    lost, sent = await asyncio.gather(*(source.publisher.publish([way]) for way in ways))

    assert ([type(outcome) for outcome in lost], sent) == ([Unroutable], [None])


class Slow(Publisher):
    """Reports its first failure only after a while, like a batch that waits for others."""

    received: asyncio.Event

    async def _publish_one(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        try:
            await super()._publish_one(channel, outgoing)
        except ChannelNotFoundEntity:
            await self.received.wait()
            raise


@asynccontextmanager
async def slow(url: str) -> AsyncIterator[Slow]:
    publisher = Slow(url, timeout=PATIENCE)
    publisher.received = asyncio.Event()
    try:
        yield publisher
    finally:
        publisher.received.set()
        await publisher.close()


async def test_a_failure_on_an_old_channel_leaves_the_newer_one_open(source: EventSource):
    missing = Outgoing(message_of(a_stone()), "taawon.retry-tier.no-such", NOWHERE)
    async with slow(source.amqp_url) as publisher:
        old = await publisher._open()
        late = asyncio.create_task(publisher.publish([missing]))
        await eventually(lambda: old.is_closed)
        assert await publisher.publish([published()]) == [None]
        newer = publisher._channel

        publisher.received.set()
        (outcome,) = await late

        assert isinstance(outcome, ChannelNotFoundEntity)
        assert newer is not None
        assert (publisher._channel, newer.is_closed) == (newer, False)


async def test_an_unconfirmed_message_on_a_channel_that_we_closed_is_a_lost_connection(
    source: EventSource,
):
    channel = await (await source.publisher._open()).get_underlay_channel()

    sending = asyncio.create_task(source.publisher.publish([published()]))
    await eventually(lambda: channel.confirmations, every=0)
    await channel._cancel_tasks(None)  # as its closing does where the broker does not answer
    (outcome,) = await sending

    assert isinstance(outcome, ConnectionError)
