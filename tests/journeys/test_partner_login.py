"""What a partner's broker login can do: read its own queue. Everything else is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aio_pika
import orjson
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import AMQPConnectionError, ChannelAccessRefused, InvalidFrameError

from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST

from .request_bodies import unique
from .stories import Partner, PartnerQueue, Story


@dataclass(frozen=True)
class PartnerQueues:
    """Two institutions that have nothing to do with each other."""

    partner: Partner
    own: PartnerQueue
    other: PartnerQueue


@pytest.fixture(scope="module")
async def partner_queues(story: Story) -> PartnerQueues:
    partner, stranger = await asyncio.gather(story.register_partner(), story.register_partner())
    await story.subscribe(partner, topics=["funding.call.*"])
    own, other = await asyncio.gather(
        story.request_partner_queue(partner), story.request_partner_queue(stranger)
    )
    return PartnerQueues(partner, own, other)


TURNED_AWAY = "Expected one of .'Connection.OpenOk'., got <Connection.Close"
"""How the client says that the broker closed the connection when it named its vhost."""

Step = Callable[[AbstractChannel, PartnerQueues], Awaitable[object]]


async def keep_unread(_: AbstractIncomingMessage) -> None:
    """Take a message and never acknowledge it."""


async def consume_from_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await (await channel.get_queue(partner_queues.other.queue, ensure=False)).consume(keep_unread)


async def get_from_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await (await channel.get_queue(partner_queues.other.queue, ensure=False)).get()


async def purge_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await (await channel.get_queue(partner_queues.other.queue, ensure=False)).purge()


async def read_what_was_dropped(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await (await channel.get_queue("p.dropped", ensure=False)).get()


async def bind_its_queue(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    queue = await channel.get_queue(partner_queues.own.queue, ensure=False)
    await queue.bind("partner.out", routing_key=partner_queues.other.queue)


async def bind_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    queue = await channel.get_queue(partner_queues.other.queue, ensure=False)
    await queue.bind("partner.out", routing_key=partner_queues.own.queue)


async def unbind_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    queue = await channel.get_queue(partner_queues.other.queue, ensure=False)
    await queue.unbind("partner.out", routing_key=partner_queues.other.queue)


async def declare_a_queue(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.declare_queue(unique("mine"), durable=True)


async def declare_an_unnamed_queue(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.declare_queue(exclusive=True)


async def declare_an_exchange(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.declare_exchange(unique("mine"), "fanout", durable=True)


async def delete_its_queue(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.queue_delete(partner_queues.own.queue)


async def delete_the_exchange(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.exchange_delete("partner.out")


async def publish_to_another(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.default_exchange.publish(Message(b"{}"), partner_queues.other.queue)


async def publish_to_itself(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    await channel.default_exchange.publish(Message(b"{}"), partner_queues.own.queue)


async def publish_as_the_platform(channel: AbstractChannel, partner_queues: PartnerQueues) -> None:
    exchange = await channel.get_exchange("partner.out", ensure=False)
    await exchange.publish(Message(b"{}"), partner_queues.other.queue)


REFUSED: list[Step] = [
    consume_from_another,
    get_from_another,
    purge_another,
    read_what_was_dropped,
    bind_its_queue,
    bind_another,
    unbind_another,
    declare_a_queue,
    declare_an_unnamed_queue,
    declare_an_exchange,
    delete_its_queue,
    delete_the_exchange,
    publish_to_another,
    publish_to_itself,
    publish_as_the_platform,
]


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__.replace("_", " "))
async def test_the_broker_refuses_a_partner_that_wants_to(
    partner_queues: PartnerQueues, step: Step
) -> None:
    connection = await aio_pika.connect(partner_queues.own.url)

    async with connection:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused, match="ACCESS_REFUSED"):
            await step(channel, partner_queues)


async def test_the_login_opens_no_other_vhost(story: Story, partner_queues: PartnerQueues) -> None:
    inside = story.stack.broker.found.amqp_url(
        partner_queues.own.username, partner_queues.own.password, VHOST
    )

    with pytest.raises(InvalidFrameError, match=TURNED_AWAY):
        await aio_pika.connect(inside)


async def test_a_service_cannot_publish_what_another_owns(story: Story) -> None:
    with pytest.raises(ChannelAccessRefused, match="ACCESS_REFUSED"):
        await story.publish("ideas", "funding.call.opened.v1", unique("forged"), b"{}")


async def test_a_partner_reads_its_own_queue(story: Story, partner_queues: PartnerQueues) -> None:
    call_id = await story.open_call()

    (received,) = await story.received(partner_queues.own, 1)

    assert orjson.loads(received.body)["call_id"] == str(call_id)


async def test_new_credentials_end_the_old_password_and_keep_the_queue(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner)
    old = await story.request_partner_queue(partner)
    call_id = await story.open_call()
    await story.fed(partner, 1)

    new = await story.request_partner_queue(partner)

    assert (new.queue, new.username) == (old.queue, old.username)
    assert new.password != old.password
    with pytest.raises(AMQPConnectionError, match="ACCESS_REFUSED"):
        await aio_pika.connect(old.url)
    (received,) = await story.received(new, 1)
    assert orjson.loads(received.body)["call_id"] == str(call_id)


async def test_a_partner_gets_five_connections_and_not_one_more(
    partner_queues: PartnerQueues,
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(await aio_pika.connect(partner_queues.other.url))

        with pytest.raises(InvalidFrameError, match=TURNED_AWAY):
            await aio_pika.connect(partner_queues.other.url)


async def test_the_limits_of_a_partner_are_set(story: Story, partner_queues: PartnerQueues) -> None:
    management = story.stack.broker.management

    limits = await asyncio.to_thread(management.get, f"user-limits/{partner_queues.own.username}")
    permissions = await asyncio.to_thread(
        management.get, f"users/{partner_queues.own.username}/permissions"
    )

    assert limits[0]["value"] == {"max-connections": 5, "max-channels": 20}
    assert [(p["vhost"], p["configure"], p["write"]) for p in permissions] == [
        (PARTNER_VHOST, "^$", "^$")
    ]


async def test_only_partners_request_queues(story: Story, partner_queues: PartnerQueues) -> None:
    answer = await story.ask("notifications", "POST", "/partner-queue")
    nobody = await story.ask(
        "notifications", "POST", "/partner-queue", who=replace(partner_queues.partner, token="x")
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "not-a-partner")
    assert nobody.status_code == 401
