"""Every exchange and queue, declared in one place before any relay starts.

    <service> ──► taawon.events (topic) ──► <service>.<consumer>   one quorum queue per consumer
                       │ nobody bound
                       ▼
                  taawon.unrouted

    <service> ──► taawon.replay (direct) ──► <service>.<consumer>   by name and topic: replays

    <service>.<consumer> ──► taawon.retry-tier.<ms> (fanout) ──► queue of that name, TTL
                       ──► taawon.retry (direct) ──► <service>.<consumer>   by name
                                  │ no such queue
                                  ▼
                             taawon.unrouted
    <service>.<consumer> ──► taawon.dead (direct) ──► <service>.<consumer>.dead

No queue that events pass through has a length limit: a full queue would refuse the publish although
the other queues already hold the message. Changed arguments need a new queue name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

from .addresses import RETRY, UNROUTED, dead_queue

EVENTS = "taawon.events"
DEAD = "taawon.dead"
RETRY_EXCHANGE = "taawon.retry"
"""From a retry tier back to the one queue that a message is for.

Where that queue is gone the message leaves by the alternate exchange. Without one it would stay in
its tier for ever, and some tens of such messages would stop the tier for everybody: dead-lettering
at least once waits for each.
"""
REPLAY = "taawon.replay"
"""Exchange of replayed events: each goes to one rebuildable queue, or comes back unroutable."""
RUN_HEADER = "x-taawon-run"
"""Header with the id of the run that replays an event. An inbox knows an event once per run."""
DELIVERY_LIMIT = 200
"""Redeliveries by the broker itself (crashes, lost connections) before it dead-letters a message.

Our own attempts are counted apart. The limit is high because a consumer that waits for its
database holds deliveries, and each restart of it costs one.
"""
NO_DELIVERY_LIMIT = 2**31 - 1
"""For a queue whose messages are nowhere else: without a limit RabbitMQ 4 drops a message that came
back 20 times, and with -1 RabbitMQ 3.10 drops it at once."""
ANSWER_SECONDS = 10.0
"""Longest wait for a subscription: a queue that has just come back may never confirm the first."""
SETTLE_SECONDS = 2.0
"""Pause between connecting to a broker that was away and subscribing.

A quorum queue that is asked before it has elected its leader may never elect one (seen on 3.10).
"""
UNROUTED_TTL_MS = 7 * 24 * 3600 * 1000
UNROUTED_LENGTH = 100_000


class Declares(Protocol):
    """What topology needs to know of a consumer."""

    @property
    def queue(self) -> str:
        """The name of its queue."""
        ...

    @property
    def topics(self) -> tuple[str, ...]:
        """The routing keys by which the queue is bound to the events."""
        ...

    @property
    def rebuildable(self) -> bool:
        """Whether the queue takes replayed events."""
        ...


def replay_key(queue: str, topic: str) -> str:
    """The routing key of a replayed event, to which the queue is bound if it takes the topic."""
    return f"{queue} {topic}"


@dataclass(frozen=True)
class Tier:
    """A retry tier: an exchange and a queue in which messages wait for so many seconds."""

    seconds: float

    @property
    def name(self) -> str:
        """The name of its exchange and of its queue."""
        return f"{RETRY}.{self.ttl_ms}ms"

    @property
    def ttl_ms(self) -> int:
        """How long messages wait in it, in milliseconds."""
        return round(self.seconds * 1000)


def _safe_quorum(**extra: Any) -> dict[str, Any]:
    """At-least-once dead-lettering, which RabbitMQ gives only together with reject-publish."""
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        **extra,
    }


def consumer_arguments(queue: str) -> dict[str, Any]:
    """Arguments of a consumer's queue: past its delivery limit a message is dead-lettered."""
    return _safe_quorum(
        **{
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-routing-key": queue,
        }
    )


def dead_queue_arguments() -> dict[str, Any]:
    """Arguments of a dead-letter queue: it drops nothing, for its messages are nowhere else."""
    return {"x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT}


async def declare(
    channel: AbstractChannel, consumers: Iterable[Declares], delays: Iterable[float]
) -> list[str]:
    """Declare exchanges, retry tiers and the consumers' queues; returns the names of all queues."""
    events = await _declare_exchanges(channel)
    names = [UNROUTED]
    for tier in map(Tier, delays):
        names.append(await _declare_tier(channel, tier))
    dead = await channel.get_exchange(DEAD, ensure=False)
    for consumer in consumers:
        names += await _declare_consumer(channel, events, dead, consumer)
    return names


async def _declare_exchanges(channel: AbstractChannel) -> AbstractExchange:
    unrouted = await channel.declare_exchange(UNROUTED, "fanout", durable=True)
    queue = await channel.declare_queue(
        UNROUTED,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": UNROUTED_TTL_MS,
            "x-max-length": UNROUTED_LENGTH,
            "x-overflow": "drop-head",
        },
    )
    await queue.bind(unrouted)
    await channel.declare_exchange(DEAD, "direct", durable=True)
    await channel.declare_exchange(REPLAY, "direct", durable=True)
    else_unrouted: dict[str, Any] = {"alternate-exchange": UNROUTED}
    await channel.declare_exchange(RETRY_EXCHANGE, "direct", durable=True, arguments=else_unrouted)
    return await channel.declare_exchange(EVENTS, "topic", durable=True, arguments=else_unrouted)


async def _declare_tier(channel: AbstractChannel, tier: Tier) -> str:
    exchange = await channel.declare_exchange(tier.name, "fanout", durable=True)
    arguments = _safe_quorum(
        **{"x-message-ttl": tier.ttl_ms, "x-dead-letter-exchange": RETRY_EXCHANGE}
    )
    queue = await channel.declare_queue(tier.name, durable=True, arguments=arguments)
    await queue.bind(exchange)
    return tier.name


async def _declare_consumer(
    channel: AbstractChannel, events: AbstractExchange, dead: AbstractExchange, consumer: Declares
) -> list[str]:
    dead_name = dead_queue(consumer.queue)
    dead_letters = await channel.declare_queue(
        dead_name, durable=True, arguments=dead_queue_arguments()
    )
    await dead_letters.bind(dead, routing_key=consumer.queue)
    queue = await channel.declare_queue(
        consumer.queue, durable=True, arguments=consumer_arguments(consumer.queue)
    )
    await queue.bind(RETRY_EXCHANGE, routing_key=consumer.queue)
    for topic in consumer.topics:
        await queue.bind(events, routing_key=topic)
    await _bind_replay(queue, consumer)
    return [consumer.queue, dead_name]


async def _bind_replay(queue: AbstractQueue, consumer: Declares) -> None:
    """Bind a rebuildable queue to its replayed events, and unbind one that is not rebuildable."""
    bind = queue.bind if consumer.rebuildable else queue.unbind
    for topic in consumer.topics:
        await bind(REPLAY, routing_key=replay_key(consumer.queue, topic))


@dataclass(frozen=True)
class BrokerUser:
    """What a service's broker user may do: read its queues, publish and replay its events.

    Rights are regular expressions of names, as RabbitMQ takes them.
    """

    service: str

    configure = "^$"

    @property
    def write(self) -> str:
        """The exchanges that it may publish to."""
        names = [*map(re.escape, (EVENTS, DEAD, REPLAY)), re.escape(RETRY) + r"\..*"]
        return f"^({'|'.join(names)})$"

    @property
    def read(self) -> str:
        """The queues that it may read: its own."""
        return rf"^{re.escape(self.service)}\..*$"

    @property
    def topic_write(self) -> str:
        """The topics that it may publish: its own."""
        return rf"^{re.escape(self.service)}\..*$"


def user_of(amqp_url: str) -> str:
    """The broker user that a URL signs in with."""
    return unquote(urlsplit(amqp_url).username or "guest")


async def apply(amqp_url: str, delays: Iterable[float], consumers: Iterable[Declares]) -> list[str]:
    """Declare everything as an administrator; returns the names of all queues. Safe to repeat."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        return await declare(channel, consumers, delays)
