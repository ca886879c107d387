"""Consumers on a real broker and database: each event has one effect, despite restarts."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import PATIENCE, Vhost, eventually
from shared.kernel import context
from shared.kernel.data.tables import DeadLetterRow, InboxRow, OutboxRow
from shared.kernel.messaging import topology
from shared.kernel.messaging.consumers import Consumers

from .carpenters import QUEUE, Carpenters, at_work, is_now, lay
from .harness import (
    DELAYS,
    BeamRaised,
    EventSource,
    StoneLaid,
    a_stone,
    depth,
    event_source,
    message_of,
    post,
    running_service,
)


async def test_the_effect_the_inbox_row_and_the_next_event_are_one_transaction(vhost, databases):
    carpenters, stone = Carpenters(), a_stone()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, stone)
        await eventually(lambda: service.count(OutboxRow))

        assert (await service.count(InboxRow), len(carpenters.calls)) == (1, 1)
        assert await depth(vhost.admin_url, QUEUE) == 0


async def test_the_trace_goes_from_outbox_to_the_next_event(source: EventSource, vhost, databases):
    carpenters, stone = Carpenters(), a_stone()
    work = context.WorkContext.of(correlation_id="order-8")

    async with at_work(carpenters, vhost, databases) as service:
        with context.working(work):
            await source.write(stone)
        await source.relay.send_batch()
        await eventually(lambda: service.count(OutboxRow))
        async with service.sessions() as session:
            headers = await session.scalar(select(OutboxRow.headers))

    assert headers["cloudEvents_correlationid"] == "order-8"
    assert headers["cloudEvents_causationid"] == str(stone.event_id)
    assert headers["traceparent"].split("-")[1] == work.traceparent.split("-")[1]


async def test_the_same_event_twice_has_one_effect(vhost, databases):
    carpenters, stone = Carpenters(), a_stone()

    async with at_work(carpenters, vhost, databases) as service:
        await lay(vhost, stone, stone, a_stone())
        await eventually(lambda: len(carpenters.calls) >= 2)
        await eventually(lambda: _empty(vhost))

        assert (await service.count(OutboxRow), await service.count(InboxRow)) == (2, 2)


async def test_an_event_under_the_id_of_another_services_event_keeps_that_from_nothing(
    vhost, databases
):
    seen = []
    consumers = Consumers("carpentry")

    async def note(event: StoneLaid | BeamRaised, session: AsyncSession) -> None:
        """Something was built."""
        seen.append(event.topic)

    consumers.on(StoneLaid, BeamRaised, queue="note")(note)
    stone = a_stone()
    beam = BeamRaised(beam_id=stone.stone_id, event_id=stone.event_id)
    of_carpentry = message_of(beam, user_id="carpentry")
    urls = vhost.admin_url, vhost.url("carpentry"), databases.kernel()

    async with running_service(consumers, *urls) as service:
        await post(vhost.url("carpentry"), of_carpentry, beam.topic)
        await eventually(lambda: is_now(service.count(InboxRow), 1))
        await lay(vhost, stone)
        await eventually(lambda: is_now(service.count(InboxRow), 2))

    assert seen == [BeamRaised.topic, StoneLaid.topic]


@pytest.mark.parametrize("prefetch", [1, 3])
async def test_no_more_messages_are_worked_on_at_once_than_prefetch_says(
    vhost, databases, prefetch
):
    carpenters, now, peak = Carpenters(prefetch), 0, 0
    go_on = asyncio.Event()

    async def wait_for_go_on(event: StoneLaid, session: AsyncSession) -> None:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await go_on.wait()
        now -= 1

    carpenters.does = wait_for_go_on
    await topology.apply(vhost.admin_url, DELAYS, carpenters.consumers.consumers)
    await lay(vhost, *(a_stone(n) for n in range(20)))
    async with at_work(carpenters, vhost, databases) as service:
        await eventually(lambda: now == prefetch)
        go_on.set()
        await eventually(lambda: is_now(service.count(InboxRow), 20))

    assert peak == prefetch


async def test_a_stop_waits_for_the_message_in_hand_and_leaves_the_others_in_the_queue(
    vhost, databases
):
    carpenters, started, go_on = Carpenters(1), asyncio.Event(), asyncio.Event()

    async def wait_for_go_on(event: StoneLaid, session: AsyncSession) -> None:
        started.set()
        await go_on.wait()

    carpenters.does = wait_for_go_on
    async with at_work(carpenters, vhost, databases) as service:
        url = service.database_url
        await lay(vhost, a_stone(1), a_stone(2))
        await asyncio.wait_for(started.wait(), PATIENCE)
        asyncio.get_running_loop().call_later(0.2, go_on.set)

    async with event_source(vhost.admin_url, vhost.url("carpentry"), url) as after:
        assert await after.count() == 1
    assert await eventually(lambda: depth(vhost.admin_url, QUEUE)) == 1


async def test_messages_in_hand_during_a_restart_of_the_broker_have_one_effect_each(
    own_broker, databases
):
    carpenters, held = Carpenters(3), asyncio.Event()

    async def hold_first(event: StoneLaid, session: AsyncSession) -> None:
        if not held.is_set():
            await held.wait()

    carpenters.does = hold_first
    url = databases.kernel()
    admin, publisher_url = own_broker.admin_url(), own_broker.url_of("masonry")
    async with running_service(
        carpenters.consumers, admin, own_broker.url_of("carpentry"), url
    ) as service:
        for stone in [a_stone(n) for n in range(10)]:
            await post(publisher_url, message_of(stone), stone.topic)
        await eventually(lambda: len(carpenters.calls) == 3)
        await asyncio.to_thread(own_broker.found.server.stop)
        await asyncio.to_thread(own_broker.found.server.start)
        held.set()
        await eventually(lambda: is_now(service.count(InboxRow), 10))

        assert (await service.count(OutboxRow), await service.count(DeadLetterRow)) == (10, 0)
    assert len(carpenters.calls) >= 10


def test_a_queue_is_named_after_service_and_consumer():
    carpenters = Carpenters()

    (consumer,) = carpenters.consumers.consumers

    assert (consumer.queue, consumer.topics) == (QUEUE, (StoneLaid.topic,))


async def _empty(vhost: Vhost) -> bool:
    return await depth(vhost.admin_url, QUEUE) == 0
