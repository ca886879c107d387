"""Requests of replays: what is sent to which queue, and what is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from devkit.pytest_plugin import eventually
from shared.contracts.base import now
from shared.kernel.auth.tokens import MissingRole, Principal, Role
from shared.kernel.data.tables import DeadLetterRow, ReplayRow
from shared.kernel.messaging import topology
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import Outgoing, Publisher, Unroutable
from shared.kernel.messaging.replay.domain import (
    BeginsInTheFuture,
    BrokerUnreachable,
    EndsBeforeItBegins,
    ForeignTopic,
    Kind,
    NoSnapshot,
    NoSuchQueue,
    NotReplayable,
    OnlyOfTheLog,
)

from ..harness import (
    DELAYS,
    BeamRaised,
    EventSource,
    RunningService,
    StoneCut,
    StoneLaid,
    a_stone,
    depth,
    message_of,
    post,
)
from .replay_runs import (
    QUEUE,
    measure,
    received,
    replayer,
    request_replay,
    stones,
    stored_run,
    wait_for_inbox_rows,
    work_off,
)


@pytest.mark.parametrize(
    ("narrowed", "numbers"),
    [
        (lambda events, middle: {"since": middle}, [3]),
        (lambda events, middle: {"until": middle}, [1, 2]),
        (lambda events, middle: {"event_id": events[1].event_id}, [2]),
        (lambda events, middle: {"topics": (StoneLaid.topic,)}, [1, 2, 3]),
    ],
    ids=["since", "until", "event", "topic"],
)
async def test_a_replay_is_narrowed(
    source: EventSource, receiver: RunningService, narrowed: Callable[..., Any], numbers: list[int]
) -> None:
    events = [a_stone(1), a_stone(2), a_stone(3)]
    await source.publish(*events[:2])
    async with source.sessions() as session:
        middle = await session.scalar(select(func.clock_timestamp()))
    await source.publish(events[2], StoneCut(stone_id=uuid.uuid4()))
    await wait_for_inbox_rows(receiver, 3)

    await request_replay(source, **narrowed(events, middle))
    await work_off(replayer(source))

    await wait_for_inbox_rows(receiver, 3 + len(numbers))
    assert sorted(e.number for e in received[3:]) == numbers


async def test_a_queue_that_is_not_rebuildable_refuses_and_gets_nothing(source):
    await source.publish(a_stone(1))
    before = await depth(source.admin_url, "carpentry.invite")

    with pytest.raises(NotReplayable, match=r"dead-letters list carpentry"):
        await request_replay(source, queue="carpentry.invite")

    assert await depth(source.admin_url, "carpentry.invite") == before == 1
    async with source.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ReplayRow)) == 0


async def test_a_snapshot_to_a_queue_that_is_not_rebuildable_is_refused(source):
    with pytest.raises(NotReplayable):
        await request_replay(source, stones(a_stone(1)), queue="carpentry.invite")


async def test_a_queue_that_does_not_exist_refuses(source):
    with pytest.raises(NoSuchQueue, match=r"carpentry\.dance"):
        await request_replay(source, queue="carpentry.dance")


async def test_a_queue_that_takes_none_of_the_events_refuses(source):
    await source.publish(StoneCut(stone_id=uuid.uuid4()))

    with pytest.raises(NotReplayable, match=r"masonry\.stone\.cut"):
        await request_replay(source, topics=(StoneCut.topic,))


async def test_a_run_is_narrowed_to_the_topics_that_its_queue_takes(source, receiver):
    """The log holds both; the broker has returned the other one, so the run never tries it again"""
    await source.publish(a_stone(1), StoneCut(stone_id=uuid.uuid4()))
    await wait_for_inbox_rows(receiver, 1)

    run = await request_replay(source)
    await work_off(replayer(source))

    await wait_for_inbox_rows(receiver, 2)
    assert run.topics == [StoneLaid.topic]
    assert (await stored_run(source, run)).total == 1


async def test_with_nothing_to_send_a_run_ends_at_once(source):
    run = await request_replay(source)
    await work_off(replayer(source))

    found = await stored_run(source, run)
    assert (found.state, found.sent, found.total) == ("finished", 0, 0)


async def test_an_event_of_another_service_is_refused(source):
    with pytest.raises(ForeignTopic, match=r"publishes no carpentry\.beam"):
        await request_replay(source, topics=(BeamRaised.topic,))


async def test_a_service_without_a_present_state_refuses_a_snapshot(source):
    with pytest.raises(NoSnapshot, match="taawon replay masonry"):
        await request_replay(source, kind=Kind.SNAPSHOT)


async def test_a_request_that_contradicts_itself_is_refused(source):
    with pytest.raises(OnlyOfTheLog):
        await request_replay(source, stones(), since=now())
    with pytest.raises(EndsBeforeItBegins):
        await request_replay(source, since=now(), until=now() - timedelta(hours=1))
    with pytest.raises(BeginsInTheFuture):
        await request_replay(source, since=now() + timedelta(hours=1))


async def test_only_operators_may_request_a_replay(source):
    with pytest.raises(MissingRole):
        await request_replay(
            source, who=Principal(subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE}))
        )


async def test_a_replay_is_refused_while_the_broker_is_away(source):
    away = Publisher("amqp://nobody@127.0.0.1:1/", timeout=1)

    with pytest.raises(BrokerUnreachable):
        await request_replay(source, through=away)


@pytest.mark.parametrize(
    ("queue", "topic"),
    [("carpentry.invite", StoneLaid.topic), (QUEUE, StoneCut.topic)],
    ids=["not rebuildable", "not consumed"],
)
async def test_the_broker_itself_returns_what_a_queue_does_not_take_again(source, queue, topic):
    event = message_of(a_stone(), type=topic)

    key = topology.replay_key(queue, topic)
    with pytest.raises(Unroutable):
        await source.publisher.publish_one(Outgoing(event, topology.REPLAY, key))


async def test_a_queue_that_is_not_rebuildable_any_more_is_unbound(source, vhost):
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, queue="measure")(measure)
    await topology.apply(vhost.admin_url, DELAYS, consumers.consumers)

    with pytest.raises(NotReplayable):
        await request_replay(source, stones(a_stone()))


async def test_a_service_cannot_send_the_events_of_another_again(vhost, receiver):
    beam = BeamRaised(beam_id=uuid.uuid4())
    forged = message_of(a_stone(), type=BeamRaised.topic, body=beam.model_dump_json().encode())

    key = topology.replay_key(QUEUE, StoneLaid.topic)
    await post(vhost.url("masonry"), forged, key, topology.REPLAY)

    async def look() -> Any:
        async with receiver.sessions() as session:
            return await session.scalar(select(DeadLetterRow.error))

    assert "not the owner" in await eventually(look)
    assert received == []
