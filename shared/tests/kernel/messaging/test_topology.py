"""The exchanges and queues of the broker, and what a service's user may not do with them."""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused

from devkit.pytest_plugin import Vhost
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import dead_queue
from shared.kernel.messaging.consumers import Consumers

from .harness import (
    DELAYS,
    StoneCut,
    StoneLaid,
    a_stone,
    channel_of,
    message_of,
    post,
    received,
)

QUEUE = "carpentry.measure"


async def measure(event: StoneLaid, session: Any) -> None:
    """A stone was laid: measure it."""


@pytest.fixture
async def queues(vhost: Vhost) -> dict[str, dict[str, Any]]:
    """Every queue of the virtual host, as the broker describes it."""
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, StoneCut, queue="measure")(measure)
    await topology.apply(vhost.admin_url, DELAYS, consumers.consumers)
    found = await asyncio.to_thread(vhost.broker.management.get, f"queues/{vhost.name}")
    return {queue["name"]: queue for queue in found}


def test_renaming_a_function_does_not_rename_its_queue():
    consumers = Consumers("carpentry")

    async def measured_otherwise(event: StoneLaid, session: Any) -> None: ...

    consumers.on(StoneLaid, queue="measure")(measured_otherwise)

    assert [consumer.queue for consumer in consumers.consumers] == [QUEUE]


def test_two_consumers_do_not_share_a_queue():
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, queue="measure")(measure)

    with pytest.raises(ValueError, match=QUEUE):
        consumers.on(StoneCut, queue="measure")


def of_events(queues: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [queue for name, queue in queues.items() if name != topology.UNROUTED]


async def test_every_queue_is_a_durable_quorum_queue(queues):
    assert {queue["type"] for queue in queues.values()} == {"quorum"}
    assert all(queue["durable"] for queue in queues.values())


async def test_no_queue_that_events_pass_through_has_a_length_limit(queues):
    limits = {"x-max-length", "x-max-length-bytes"}

    assert [queue["name"] for queue in of_events(queues) if limits & set(queue["arguments"])] == []


async def test_events_that_nobody_takes_are_bounded_in_time_and_number(queues):
    arguments = queues[topology.UNROUTED]["arguments"]

    assert arguments["x-message-ttl"] == topology.UNROUTED_TTL_MS
    assert arguments["x-max-length"] == topology.UNROUTED_LENGTH


async def test_a_consumers_queue_dead_letters_what_exceeds_its_delivery_limit(queues):
    arguments = queues[QUEUE]["arguments"]

    assert arguments["x-delivery-limit"] == topology.DELIVERY_LIMIT
    assert arguments["x-dead-letter-exchange"] == topology.DEAD
    assert arguments["x-dead-letter-routing-key"] == QUEUE
    assert arguments["x-dead-letter-strategy"] == "at-least-once"


async def test_a_dead_letter_queue_drops_nothing_by_itself(queues):
    arguments = queues[dead_queue(QUEUE)]["arguments"]

    # Without a limit RabbitMQ 4 would drop after 20 deliveries, with -1 RabbitMQ 3.10 at once.
    assert arguments == {"x-queue-type": "quorum", "x-delivery-limit": 2147483647}


@pytest.mark.parametrize("pause", DELAYS)
async def test_a_tier_holds_a_message_for_its_delay_and_returns_it_to_its_queue(queues, pause):
    arguments = queues[topology.Tier(pause).name]["arguments"]

    assert arguments["x-message-ttl"] == pause * 1000
    assert arguments["x-dead-letter-exchange"] == topology.RETRY_EXCHANGE
    assert "x-dead-letter-routing-key" not in arguments
    assert arguments["x-dead-letter-strategy"] == "at-least-once"


async def test_messages_for_a_queue_that_is_gone_keep_no_other_in_their_tier(queues, vhost: Vhost):
    """Dead-lettering at least once has some 32 on their way, and waits for each."""
    lost, stone = [a_stone(number) for number in range(100)], a_stone()
    tier = topology.Tier(DELAYS[0]).name

    async with channel_of(vhost.url("masonry")) as channel:
        exchange = await channel.get_exchange(tier, ensure=False)
        for each in lost:
            await exchange.publish(message_of(each), "carpentry.removed")
        await exchange.publish(message_of(stone), QUEUE)
    async with channel_of(vhost.admin_url) as channel:
        back = await received(await channel.get_queue(QUEUE))
        unrouted = await channel.get_queue(topology.UNROUTED)
        found = {(await received(unrouted)).message_id for _ in lost}

    assert back.message_id == str(stone.event_id)
    assert found == {str(each.event_id) for each in lost}


async def test_a_consumer_is_bound_to_each_of_its_topics(queues, vhost: Vhost):
    path = f"exchanges/{vhost.name}/{topology.EVENTS}/bindings/source"

    bindings = await asyncio.to_thread(vhost.broker.management.get, path)

    keys = {b["routing_key"] for b in bindings if b["destination"] == QUEUE}
    assert keys == {StoneLaid.topic, StoneCut.topic}


async def test_declaring_everything_again_changes_nothing(queues, vhost: Vhost):
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, StoneCut, queue="measure")(measure)

    names = await topology.apply(vhost.admin_url, DELAYS, consumers.consumers)

    assert set(names) == set(queues)


async def test_a_service_can_not_publish_events_of_another(queues, vhost: Vhost):
    with pytest.raises(ChannelAccessRefused):
        await post(
            vhost.url("carpentry"), message_of(a_stone(), user_id="carpentry"), StoneLaid.topic
        )


async def test_a_service_can_not_read_the_queues_of_another(queues, vhost: Vhost):
    async with channel_of(vhost.url("masonry")) as channel:
        with pytest.raises(ChannelAccessRefused):
            await (await channel.get_queue(QUEUE, ensure=False)).get()


async def test_a_service_can_not_put_messages_into_a_queue_directly(queues, vhost: Vhost):
    async with channel_of(vhost.url("masonry")) as channel:
        with pytest.raises(ChannelAccessRefused):
            await channel.default_exchange.publish(aio_pika.Message(b"x"), QUEUE)


@pytest.mark.parametrize("name", ["masonry.own", QUEUE + ".v2", "amq.anything"])
async def test_a_service_can_not_declare_queues(vhost: Vhost, name):
    async with channel_of(vhost.url("masonry")) as channel:
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue(name, durable=True)


async def test_a_service_can_not_delete_or_bind_its_own_queue(queues, vhost: Vhost):
    async with channel_of(vhost.url("carpentry")) as channel:
        with pytest.raises(ChannelAccessRefused):
            await channel.queue_delete(QUEUE)
    async with channel_of(vhost.url("carpentry")) as channel:
        queue = await channel.get_queue(QUEUE, ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await queue.bind(topology.EVENTS, "#")
