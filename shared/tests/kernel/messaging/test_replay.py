"""Replays: to one rebuildable queue, once per run, continued from the position of the run."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from devkit.pytest_plugin import TestDatabases, Vhost, eventually
from shared.contracts.base import now
from shared.errors import IllegalMove
from shared.kernel.auth.tokens import MissingRole, Principal, Role
from shared.kernel.data.tables import AuditRow, DeadLetterRow, InboxRow, OutboxRow, ReplayRow
from shared.kernel.messaging import quarantine, replay, topology
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import Outgoing, Publisher, Unroutable
from shared.kernel.messaging.replay.domain import (
    MOVES,
    BrokerUnreachable,
    EndsBeforeItBegins,
    ForeignTopic,
    Kind,
    NoSnapshot,
    NoSuchQueue,
    NotKept,
    NotReplayable,
    OnlyOfTheLog,
    State,
    end,
)
from shared.kernel.messaging.replay.requests import ReplayRequest
from shared.kernel.messaging.replay.sources import Page, Snapshot
from shared.kernel.messaging.replay.worker import BACKLOG, Replayer
from shared.kernel.messaging.republish import republish
from shared.kernel.messaging.retention import delete_settled

from .harness import (
    DELAYS,
    BeamRaised,
    EventSource,
    RunningService,
    StoneCut,
    StoneLaid,
    a_stone,
    depth,
    event_source,
    message_of,
    post,
    running_service,
)

OPERATOR = Principal(subject=uuid.UUID(int=9), roles=frozenset({Role.OPERATOR}))
QUEUE = "carpentry.measure"
LOG = (StoneLaid.topic, StoneCut.topic)
SENT_WITH_REQUEST = 1
"""The first event of a topic, sent with the request; the run sends it again under the same id."""
received: list[Any] = []


async def measure(event: Any, session: Any) -> None:
    """A consumer that keeps a projection."""
    received.append(event)


async def invite(event: Any, session: Any) -> None:
    """A consumer that alerts people."""


def carpenters() -> Consumers:
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, projection=("walls",), queue="measure")(measure)
    consumers.on(StoneLaid, StoneCut, queue="invite")(invite)
    return consumers


@pytest.fixture
async def source(vhost: Vhost, databases: TestDatabases) -> AsyncIterator[EventSource]:
    url = databases.kernel()
    consumers = carpenters().consumers
    async with event_source(
        vhost.admin_url, vhost.url("masonry"), url, consumers=consumers
    ) as made:
        yield made


@pytest.fixture
async def receiver(
    vhost: Vhost, source: EventSource, databases: TestDatabases
) -> AsyncIterator[RunningService]:
    received.clear()
    url = vhost.url("carpentry")
    async with running_service(carpenters(), vhost.admin_url, url, databases.kernel()) as made:
        yield made


def stones(*known: StoneLaid) -> Snapshot:
    """A snapshot of these stones, two to a page, in the order of ids."""
    inside = sorted(known, key=lambda stone: stone.stone_id)

    async def page(session: Any, after: uuid.UUID | None) -> Page:
        rest = [s for s in inside if after is None or s.stone_id > after][:2]
        events = [(str(stone.stone_id), stone) for stone in rest]
        return Page(events, len(rest), rest[-1].stone_id if rest else None)

    async def count(session: Any) -> int:
        return len(inside)

    return Snapshot("stones", (StoneLaid.topic,), page, count)


def replayer(source: EventSource, *snapshots: Snapshot) -> Replayer:
    return Replayer(source.sessions, source.publisher, "masonry", snapshots)


async def request_replay(
    source: EventSource,
    *snapshots: Snapshot,
    who: Principal = OPERATOR,
    through: Publisher | None = None,
    **request: Any,
) -> Any:
    known = {"kind": Kind.SNAPSHOT if snapshots else Kind.LOG, "queue": QUEUE, "reason": "lost"}
    async with source.sessions.begin() as session:
        return await replay.begin(
            session,
            who,
            ReplayRequest(**{**known, **request}),
            service="masonry",
            log_topics=LOG,
            snapshots=snapshots,
            publisher=through or source.publisher,
        )


async def work_off(sender: Replayer) -> None:
    while await sender.step():
        pass


async def stored_run(source: EventSource, run: ReplayRow) -> ReplayRow:
    async with source.sessions() as session:
        found = await session.get(ReplayRow, run.run)
        assert found is not None
        return found


async def wait_for_inbox_rows(receiver: RunningService, marks: int) -> None:
    """Wait until the consumer has dealt with so many messages of the queue."""

    async def look() -> bool:
        async with receiver.sessions() as session:
            query = select(func.count()).select_from(InboxRow).where(InboxRow.queue == QUEUE)
            return bool(await session.scalar(query) == marks)

    await eventually(look)


async def test_the_replayed_log_reaches_one_queue_and_no_other(source, receiver):
    events = [a_stone(1), a_stone(2), a_stone(3)]
    await source.publish(*events)
    await wait_for_inbox_rows(receiver, 3)

    run = await request_replay(source)
    await work_off(replayer(source))

    await wait_for_inbox_rows(receiver, 6)
    assert {e.event_id for e in received[3:]} == {event.event_id for event in events}
    found = await stored_run(source, run)
    assert (found.state, found.sent, found.done, found.total) == ("finished", 3, 3, 3)
    async with receiver.sessions() as session:
        rows = await session.execute(
            select(InboxRow.queue, InboxRow.run).where(InboxRow.run != "").distinct()
        )
        assert [tuple(row) for row in rows] == [(QUEUE, str(run.run))]


async def test_a_page_that_is_sent_again_after_a_crash_changes_nothing(source, receiver):
    """The position was never stored, so the whole run is sent once more under the same ids."""
    present = stones(*(a_stone(n) for n in range(3)))
    run = await request_replay(source, present)
    await work_off(replayer(source, present))
    await wait_for_inbox_rows(receiver, 3)

    async with source.sessions.begin() as session:
        lost = {"position": {}, "done": 0, "sent": 0, "state": "running"}
        await session.execute(update(ReplayRow).values(**lost))
    await work_off(replayer(source, present))

    last = a_stone(99)
    await source.publish(last)
    await wait_for_inbox_rows(receiver, 4)
    assert len(received) == 4
    assert (await stored_run(source, run)).state == "finished"


async def test_another_run_of_the_same_snapshot_is_received_anew(source, receiver):
    present = stones(a_stone(1))

    for _ in range(2):
        await request_replay(source, present)
        await work_off(replayer(source, present))

    await wait_for_inbox_rows(receiver, 2)
    assert {e.number for e in received} == {1}


async def test_two_senders_at_once_send_each_page_once(source):
    present = stones(*(a_stone(n) for n in range(7)))
    run = await request_replay(source, present)
    senders = [replayer(source, present), replayer(source, present)]

    while (await stored_run(source, run)).state == "running":
        for sender in senders:
            await sender.step()

    found = await stored_run(source, run)
    assert (found.sent, found.done) == (7, 7)
    assert await depth(source.admin_url, QUEUE) == 7 + SENT_WITH_REQUEST


async def test_a_replayer_without_the_lock_sends_nothing(source):
    present = stones(a_stone())
    await request_replay(source, present)
    async with source.sessions.begin() as session:
        key = replay.worker.REPLAY_LOCK
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

        assert not await replayer(source, present).step()

    assert await replayer(source, present).step()


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


async def test_an_event_that_has_yet_to_be_sent_is_not_replayed(source, receiver):
    await source.write(a_stone(1))

    run = await request_replay(source)
    await work_off(replayer(source))

    assert (await stored_run(source, run)).sent == 0


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


async def test_a_run_waits_while_its_queue_is_full(source):
    """Nobody consumes: the queue gets no more than a bounded number, and the run goes on later."""
    present = stones(*(a_stone(n) for n in range(BACKLOG * 2)))
    run = await request_replay(source, present)

    await work_off(replayer(source, present))

    waiting = await depth(source.admin_url, QUEUE)
    assert BACKLOG <= waiting < BACKLOG + 2 + SENT_WITH_REQUEST
    assert (await stored_run(source, run)).state == "running"


async def test_a_run_whose_queue_has_gone_fails_and_says_so(source, vhost):
    present = stones(a_stone())
    run = await request_replay(source, present)
    vhost.broker.management.delete(f"queues/{vhost.name}/{QUEUE}")

    await work_off(replayer(source, present))

    found = await stored_run(source, run)
    assert (found.state, found.error) == (
        "failed",
        f"{QUEUE} is bound no longer: no route for taawon.replay {QUEUE} {StoneLaid.topic}",
    )


async def test_a_page_that_can_not_be_read_fails_the_run_and_not_the_next(source):
    good = stones(a_stone(1), a_stone(2))

    async def broken(session: Any, after: Any) -> Page:
        if after is not None:
            await session.execute(text("SELECT 1 / 0"))
        return await good.page(session, after)

    bad = Snapshot("bad", (StoneLaid.topic,), broken, good.count)
    run = await request_replay(source, bad)

    await work_off(replayer(source, bad))

    found = await stored_run(source, run)
    assert found.state == "failed"
    assert "could not be read" in found.error


async def test_a_stopped_run_sends_nothing_more_and_says_who_and_why(source):
    present = stones(*(a_stone(n) for n in range(5)))
    run = await request_replay(source, present)
    sender = replayer(source, present)
    await sender.step()

    async with source.sessions.begin() as session:
        await replay.stop(session, OPERATOR, run.run, reason="enough")
    assert not await sender.step()

    found = await stored_run(source, run)
    assert (found.state, found.sent, found.ended_because) == ("stopped", 2, "enough")
    assert found.ended_by == str(OPERATOR.subject)
    with pytest.raises(IllegalMove):
        async with source.sessions.begin() as session:
            await replay.stop(session, OPERATOR, run.run, reason="again")
    async with source.sessions() as session:
        said = await session.scalars(select(AuditRow.action).order_by(AuditRow.id))
        assert list(said) == ["snapshot replay begun", "replay stopped"]


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_a_run_ends_once(before: State, after: State) -> None:
    run = SimpleNamespace(state=before.value, ended_at=now(), ended_by=None)

    if after in MOVES[before]:
        end(run, after, at=now())
        assert run.state == after.value
    else:
        with pytest.raises(IllegalMove):
            end(run, after, at=now())
        assert run.state == before.value


async def test_a_replay_says_what_the_retention_has_removed(source):
    await source.publish(a_stone(1))
    async with source.sessions.begin() as session:
        old = now() - timedelta(days=30)
        await session.execute(update(OutboxRow).values(published_at=old, created_at=old))
    assert await delete_settled(source.engine, 7) == 1
    await source.publish(a_stone(2))

    whole = await request_replay(source)
    recent = await request_replay(source, since=now() - timedelta(days=1))

    assert "taawon snapshot masonry --to carpentry.measure" in whole.incomplete
    assert (whole.total, recent.incomplete) == (1, None)
    with pytest.raises(NotKept):
        await request_replay(source, event_id=uuid.uuid4())


async def test_a_replay_of_a_log_from_which_nothing_was_deleted_is_complete(source):
    await source.publish(a_stone(1))
    await delete_settled(source.engine, 7)

    run = await request_replay(source)

    assert (run.incomplete, run.total) == (None, 1)


async def test_quarantined_events_are_listed_and_released_with_who_and_why(source, receiver):
    events = [a_stone(1), a_stone(2)]
    await source.write(*events)
    async with source.sessions.begin() as session:
        await session.execute(update(OutboxRow).values(quarantined_at=now(), last_error="TooLarge"))
    await source.relay.send_batch()
    async with source.sessions() as session:
        listed = [
            (row.event_id, row.last_error) for row in await quarantine.list_quarantined(session)
        ]
    assert listed == [(event.event_id, "TooLarge") for event in events]

    async with source.sessions.begin() as session:
        await quarantine.release(session, [events[1].event_id], who="amina", reason="mended")
    await source.relay.send_batch()

    await wait_for_inbox_rows(receiver, 1)
    assert [e.number for e in received] == [2]
    with pytest.raises(quarantine.NotQuarantined):
        async with source.sessions.begin() as session:
            await quarantine.release(session, [events[1].event_id], who="amina", reason="again")
    async with source.sessions.begin() as session:
        assert await quarantine.release(session, [], who="amina", reason="all") == 1
    async with source.sessions() as session:
        row = await session.scalar(select(AuditRow).order_by(AuditRow.id))
        assert (row.subject_id, row.after) == (
            events[1].event_id,
            {"who": "amina", "reason": "mended"},
        )


async def test_a_log_published_again_reaches_everybody_and_changes_nothing_twice(source, receiver):
    old, lost, waiting = a_stone(1), a_stone(2), a_stone(3)
    await source.publish(old, lost)
    async with source.sessions.begin() as session:
        before = now() - timedelta(days=2)
        await session.execute(
            update(OutboxRow).where(OutboxRow.event_id == old.event_id).values(created_at=before)
        )
    await wait_for_inbox_rows(receiver, 2)
    await source.write(waiting)

    async with source.sessions.begin() as session:
        since = now() - timedelta(days=1)
        published = await republish(session, since, who="amina", reason="the broker lost its data")
    assert (published, await source.unsent()) == (1, 2)
    await source.relay.send_batch()

    await wait_for_inbox_rows(receiver, 3)
    assert sorted(e.number for e in received) == [1, 2, 3]
    async with source.sessions() as session:
        row = await session.scalar(select(AuditRow).where(AuditRow.action == "log republished"))
        assert (row.after["events"], row.after["who"]) == (1, "amina")
