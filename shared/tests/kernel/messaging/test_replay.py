"""Replays: to one queue that may take them, once per run, from where a run was."""

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
    RunIsOver,
    State,
    end,
)
from shared.kernel.messaging.replay.requests import ReplayRequest
from shared.kernel.messaging.replay.sources import Page, Snapshot
from shared.kernel.messaging.replay.worker import BACKLOG, Replayer
from shared.kernel.messaging.republish import republish
from shared.kernel.messaging.retention import forget_settled

from .harness import (
    PAUSES,
    BeamRaised,
    House,
    StoneCut,
    StoneLaid,
    Yard,
    a_stone,
    depth,
    house,
    message_of,
    post,
    yard,
)

OPERATOR = Principal(subject=uuid.UUID(int=9), roles=frozenset({Role.OPERATOR}))
QUEUE = "carpentry.measure"
LOG = (StoneLaid.topic, StoneCut.topic)
ASKED_WITH = 1
"""The first event of a topic, sent with the request; the run sends it again under the same id."""
heard: list[Any] = []


async def measure(event: Any, session: Any) -> None:
    """A reaction that keeps a projection."""
    heard.append(event)


async def invite(event: Any, session: Any) -> None:
    """A reaction that tells people."""


def carpenters() -> Consumers:
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, projection=("walls",), queue="measure")(measure)
    consumers.on(StoneLaid, StoneCut, queue="invite")(invite)
    return consumers


@pytest.fixture
async def masons(site: Vhost, databases: TestDatabases) -> AsyncIterator[Yard]:
    url = databases.kernel()
    reactions = carpenters().reactions
    async with yard(site.admin_url, site.url("masonry"), url, reactions=reactions) as made:
        yield made


@pytest.fixture
async def listener(site: Vhost, masons: Yard, databases: TestDatabases) -> AsyncIterator[House]:
    heard.clear()
    url = site.url("carpentry")
    async with house(carpenters(), site.admin_url, url, databases.kernel()) as made:
        yield made


def stones(*known: StoneLaid) -> Snapshot:
    """The present state of the masons: these stones, two to a page, in the order of ids."""
    inside = sorted(known, key=lambda stone: stone.stone_id)

    async def page(session: Any, after: uuid.UUID | None) -> Page:
        rest = [s for s in inside if after is None or s.stone_id > after][:2]
        facts = [(str(stone.stone_id), stone) for stone in rest]
        return Page(facts, len(rest), rest[-1].stone_id if rest else None)

    async def count(session: Any) -> int:
        return len(inside)

    return Snapshot("stones", (StoneLaid.topic,), page, count)


def replayer(masons: Yard, *snapshots: Snapshot) -> Replayer:
    return Replayer(masons.sessions, masons.publisher, "masonry", snapshots)


async def ask(
    masons: Yard,
    *snapshots: Snapshot,
    who: Principal = OPERATOR,
    through: Publisher | None = None,
    **request: Any,
) -> Any:
    known = {"kind": Kind.SNAPSHOT if snapshots else Kind.LOG, "queue": QUEUE, "reason": "lost"}
    async with masons.sessions.begin() as session:
        return await replay.begin(
            session,
            who,
            ReplayRequest(**{**known, **request}),
            service="masonry",
            log_topics=LOG,
            snapshots=snapshots,
            publisher=through or masons.publisher,
        )


async def work_off(sender: Replayer) -> None:
    while await sender.step():
        pass


async def seen(masons: Yard, run: ReplayRow) -> ReplayRow:
    async with masons.sessions() as session:
        found = await session.get(ReplayRow, run.run)
        assert found is not None
        return found


async def settled(listener: House, marks: int) -> None:
    """Wait until the reaction has dealt with so many messages of the queue."""

    async def look() -> bool:
        async with listener.sessions() as session:
            query = select(func.count()).select_from(InboxRow).where(InboxRow.queue == QUEUE)
            return bool(await session.scalar(query) == marks)

    await eventually(look)


async def test_the_log_is_heard_again_by_the_one_queue_and_by_no_other(masons, listener):
    facts = [a_stone(1), a_stone(2), a_stone(3)]
    await masons.announce(*facts)
    await settled(listener, 3)

    run = await ask(masons)
    await work_off(replayer(masons))

    await settled(listener, 6)
    assert {e.event_id for e in heard[3:]} == {fact.event_id for fact in facts}
    found = await seen(masons, run)
    assert (found.state, found.sent, found.done, found.total) == ("finished", 3, 3, 3)
    async with listener.sessions() as session:
        rows = await session.execute(
            select(InboxRow.queue, InboxRow.run).where(InboxRow.run != "").distinct()
        )
        assert [tuple(row) for row in rows] == [(QUEUE, str(run.run))]


async def test_a_page_that_is_sent_again_after_a_crash_changes_nothing(masons, listener):
    """The position was never noted: the whole run is sent once more, under the same ids."""
    present = stones(*(a_stone(n) for n in range(3)))
    run = await ask(masons, present)
    await work_off(replayer(masons, present))
    await settled(listener, 3)

    async with masons.sessions.begin() as session:
        lost = {"position": {}, "done": 0, "sent": 0, "state": "running"}
        await session.execute(update(ReplayRow).values(**lost))
    await work_off(replayer(masons, present))

    last = a_stone(99)
    await masons.announce(last)
    await settled(listener, 4)
    assert len(heard) == 4
    assert (await seen(masons, run)).state == "finished"


async def test_another_run_of_the_same_snapshot_is_heard_anew(masons, listener):
    present = stones(a_stone(1))

    for _ in range(2):
        await ask(masons, present)
        await work_off(replayer(masons, present))

    await settled(listener, 2)
    assert {e.number for e in heard} == {1}


async def test_two_senders_at_once_send_each_page_once(masons):
    present = stones(*(a_stone(n) for n in range(7)))
    run = await ask(masons, present)
    senders = [replayer(masons, present), replayer(masons, present)]

    while (await seen(masons, run)).state == "running":
        for sender in senders:
            await sender.step()

    found = await seen(masons, run)
    assert (found.sent, found.done) == (7, 7)
    assert await depth(masons.admin_url, QUEUE) == 7 + ASKED_WITH


async def test_who_does_not_get_the_lock_sends_nothing(masons):
    present = stones(a_stone())
    await ask(masons, present)
    async with masons.sessions.begin() as session:
        key = replay.worker.REPLAY_LOCK
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

        assert not await replayer(masons, present).step()

    assert await replayer(masons, present).step()


@pytest.mark.parametrize(
    ("narrowed", "numbers"),
    [
        (lambda facts, middle: {"since": middle}, [3]),
        (lambda facts, middle: {"until": middle}, [1, 2]),
        (lambda facts, middle: {"event_id": facts[1].event_id}, [2]),
        (lambda facts, middle: {"topics": (StoneLaid.topic,)}, [1, 2, 3]),
    ],
    ids=["since", "until", "event", "topic"],
)
async def test_a_replay_is_narrowed(
    masons: Yard, listener: House, narrowed: Callable[..., Any], numbers: list[int]
) -> None:
    facts = [a_stone(1), a_stone(2), a_stone(3)]
    await masons.announce(*facts[:2])
    async with masons.sessions() as session:
        middle = await session.scalar(select(func.clock_timestamp()))
    await masons.announce(facts[2], StoneCut(stone_id=uuid.uuid4()))
    await settled(listener, 3)

    await ask(masons, **narrowed(facts, middle))
    await work_off(replayer(masons))

    await settled(listener, 3 + len(numbers))
    assert sorted(e.number for e in heard[3:]) == numbers


async def test_what_is_still_on_its_way_is_not_sent_twice(masons, listener):
    await masons.write(a_stone(1))

    run = await ask(masons)
    await work_off(replayer(masons))

    assert (await seen(masons, run)).sent == 0


async def test_a_queue_that_is_not_rebuildable_refuses_and_gets_nothing(masons):
    await masons.announce(a_stone(1))
    before = await depth(masons.admin_url, "carpentry.invite")

    with pytest.raises(NotReplayable, match=r"dead-letters list carpentry"):
        await ask(masons, queue="carpentry.invite")

    assert await depth(masons.admin_url, "carpentry.invite") == before == 1
    async with masons.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ReplayRow)) == 0


async def test_a_snapshot_to_a_queue_that_is_not_rebuildable_is_refused(masons):
    with pytest.raises(NotReplayable):
        await ask(masons, stones(a_stone(1)), queue="carpentry.invite")


async def test_a_queue_that_does_not_exist_refuses(masons):
    with pytest.raises(NoSuchQueue, match=r"carpentry\.dance"):
        await ask(masons, queue="carpentry.dance")


async def test_a_queue_that_takes_none_of_the_facts_refuses(masons):
    await masons.announce(StoneCut(stone_id=uuid.uuid4()))

    with pytest.raises(NotReplayable, match=r"masonry\.stone\.cut"):
        await ask(masons, topics=(StoneCut.topic,))


async def test_a_run_is_narrowed_to_the_topics_that_its_queue_takes(masons, listener):
    """The log holds both; the broker has returned the other one, so the run never tries it again"""
    await masons.announce(a_stone(1), StoneCut(stone_id=uuid.uuid4()))
    await settled(listener, 1)

    run = await ask(masons)
    await work_off(replayer(masons))

    await settled(listener, 2)
    assert run.topics == [StoneLaid.topic]
    assert (await seen(masons, run)).total == 1


async def test_with_nothing_to_send_a_run_ends_at_once(masons):
    run = await ask(masons)
    await work_off(replayer(masons))

    found = await seen(masons, run)
    assert (found.state, found.sent, found.total) == ("finished", 0, 0)


async def test_a_fact_of_another_service_is_refused(masons):
    with pytest.raises(ForeignTopic, match=r"publishes no carpentry\.beam"):
        await ask(masons, topics=(BeamRaised.topic,))


async def test_a_service_without_a_present_state_refuses_a_snapshot(masons):
    with pytest.raises(NoSnapshot, match="taawon replay masonry"):
        await ask(masons, kind=Kind.SNAPSHOT)


async def test_a_request_that_contradicts_itself_is_refused(masons):
    with pytest.raises(OnlyOfTheLog):
        await ask(masons, stones(), since=now())
    with pytest.raises(EndsBeforeItBegins):
        await ask(masons, since=now(), until=now() - timedelta(hours=1))


async def test_nobody_but_an_operator_asks(masons):
    with pytest.raises(MissingRole):
        await ask(masons, who=Principal(subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE})))


async def test_without_a_broker_nobody_knows_who_listens(masons):
    away = Publisher("amqp://nobody@127.0.0.1:1/", timeout=1)

    with pytest.raises(BrokerUnreachable):
        await ask(masons, through=away)


@pytest.mark.parametrize(
    ("queue", "topic"),
    [("carpentry.invite", StoneLaid.topic), (QUEUE, StoneCut.topic)],
    ids=["not rebuildable", "not consumed"],
)
async def test_the_broker_itself_returns_what_a_queue_does_not_take_again(masons, queue, topic):
    fact = message_of(a_stone(), type=topic)

    key = topology.replay_key(queue, topic)
    with pytest.raises(Unroutable):
        await masons.publisher.publish_one(Outgoing(fact, topology.REPLAY, key))


async def test_a_queue_that_is_not_rebuildable_any_more_is_unbound(masons, site):
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, queue="measure")(measure)
    await topology.apply(site.admin_url, PAUSES, consumers.reactions)

    with pytest.raises(NotReplayable):
        await ask(masons, stones(a_stone()))


async def test_a_service_cannot_send_the_facts_of_another_again(site, listener):
    beam = BeamRaised(beam_id=uuid.uuid4())
    forged = message_of(a_stone(), type=BeamRaised.topic, body=beam.model_dump_json().encode())

    key = topology.replay_key(QUEUE, StoneLaid.topic)
    await post(site.url("masonry"), forged, key, topology.REPLAY)

    async def look() -> Any:
        async with listener.sessions() as session:
            return await session.scalar(select(DeadLetterRow.error))

    assert "not the owner" in await eventually(look)
    assert heard == []


async def test_a_run_waits_while_its_queue_is_full(masons):
    """Nobody listens: the queue gets no more than a bounded number, and the run goes on later."""
    present = stones(*(a_stone(n) for n in range(BACKLOG * 2)))
    run = await ask(masons, present)

    await work_off(replayer(masons, present))

    waiting = await depth(masons.admin_url, QUEUE)
    assert BACKLOG <= waiting < BACKLOG + 2 + ASKED_WITH
    assert (await seen(masons, run)).state == "running"


async def test_a_run_whose_queue_has_gone_fails_and_says_so(masons, site):
    present = stones(a_stone())
    run = await ask(masons, present)
    site.broker.management.delete(f"queues/{site.name}/{QUEUE}")

    await work_off(replayer(masons, present))

    found = await seen(masons, run)
    assert (found.state, found.error) == (
        "failed",
        f"{QUEUE} is bound no longer: no route for taawon.replay {QUEUE} {StoneLaid.topic}",
    )


async def test_a_page_that_can_not_be_read_fails_the_run_and_not_the_next(masons):
    good = stones(a_stone(1), a_stone(2))

    async def broken(session: Any, after: Any) -> Page:
        if after is not None:
            await session.execute(text("SELECT 1 / 0"))
        return await good.page(session, after)

    bad = Snapshot("bad", (StoneLaid.topic,), broken, good.count)
    run = await ask(masons, bad)

    await work_off(replayer(masons, bad))

    found = await seen(masons, run)
    assert found.state == "failed"
    assert "could not be read" in found.error


async def test_a_stopped_run_sends_nothing_more_and_says_who_and_why(masons):
    present = stones(*(a_stone(n) for n in range(5)))
    run = await ask(masons, present)
    sender = replayer(masons, present)
    await sender.step()

    async with masons.sessions.begin() as session:
        await replay.stop(session, OPERATOR, run.run, reason="enough")
    assert not await sender.step()

    found = await seen(masons, run)
    assert (found.state, found.sent, found.ended_because) == ("stopped", 2, "enough")
    assert found.ended_by == str(OPERATOR.subject)
    with pytest.raises(RunIsOver):
        async with masons.sessions.begin() as session:
            await replay.stop(session, OPERATOR, run.run, reason="again")
    async with masons.sessions() as session:
        said = await session.scalars(select(AuditRow.action).order_by(AuditRow.id))
        assert list(said) == ["snapshot replay begun", "replay stopped"]


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_a_run_ends_once(before: State, after: State) -> None:
    run = SimpleNamespace(state=before.value, ended_at=now(), ended_by=None)

    if after in MOVES[before]:
        end(run, after, at=now())
        assert run.state == after.value
    else:
        with pytest.raises(RunIsOver):
            end(run, after, at=now())
        assert run.state == before.value


async def test_a_replay_says_what_the_retention_has_removed(masons):
    await masons.announce(a_stone(1))
    async with masons.sessions.begin() as session:
        old = now() - timedelta(days=30)
        await session.execute(update(OutboxRow).values(published_at=old, created_at=old))
    assert await forget_settled(masons.engine, 7) == 1
    await masons.announce(a_stone(2))

    whole = await ask(masons)
    recent = await ask(masons, since=now() - timedelta(days=1))

    assert "taawon snapshot masonry --to carpentry.measure" in whole.incomplete
    assert (whole.total, recent.incomplete) == (1, None)
    with pytest.raises(NotKept):
        await ask(masons, event_id=uuid.uuid4())


async def test_a_log_that_is_all_there_is_complete(masons):
    await masons.announce(a_stone(1))
    await forget_settled(masons.engine, 7)

    run = await ask(masons)

    assert (run.incomplete, run.total) == (None, 1)


async def test_parked_facts_are_listed_and_released_with_who_and_why(masons, listener):
    facts = [a_stone(1), a_stone(2)]
    await masons.write(*facts)
    async with masons.sessions.begin() as session:
        await session.execute(update(OutboxRow).values(parked_at=now(), last_error="TooLarge"))
    await masons.relay.send_batch()
    async with masons.sessions() as session:
        listed = [(row.event_id, row.last_error) for row in await quarantine.list_parked(session)]
    assert listed == [(fact.event_id, "TooLarge") for fact in facts]

    async with masons.sessions.begin() as session:
        await quarantine.release(session, [facts[1].event_id], who="amina", reason="mended")
    await masons.relay.send_batch()

    await settled(listener, 1)
    assert [e.number for e in heard] == [2]
    with pytest.raises(quarantine.NotSetAside):
        async with masons.sessions.begin() as session:
            await quarantine.release(session, [facts[1].event_id], who="amina", reason="again")
    async with masons.sessions.begin() as session:
        assert await quarantine.release(session, [], who="amina", reason="all") == 1
    async with masons.sessions() as session:
        row = await session.scalar(select(AuditRow).order_by(AuditRow.id))
        assert (row.subject_id, row.after) == (
            facts[1].event_id,
            {"who": "amina", "reason": "mended"},
        )


async def test_a_log_announced_again_reaches_everybody_and_changes_nothing_twice(masons, listener):
    old, lost, waiting = a_stone(1), a_stone(2), a_stone(3)
    await masons.announce(old, lost)
    async with masons.sessions.begin() as session:
        before = now() - timedelta(days=2)
        await session.execute(
            update(OutboxRow).where(OutboxRow.event_id == old.event_id).values(created_at=before)
        )
    await settled(listener, 2)
    await masons.write(waiting)

    async with masons.sessions.begin() as session:
        since = now() - timedelta(days=1)
        announced = await republish(session, since, who="amina", reason="the broker lost its data")
    assert (announced, await masons.unsent()) == (1, 2)
    await masons.relay.send_batch()

    await settled(listener, 3)
    assert sorted(e.number for e in heard) == [1, 2, 3]
    async with masons.sessions() as session:
        row = await session.scalar(select(AuditRow).where(AuditRow.action == "log announced again"))
        assert (row.after["facts"], row.after["who"]) == (1, "amina")
