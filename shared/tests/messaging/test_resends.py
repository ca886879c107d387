"""Facts sent again: to one queue that may hear them, once per run, from where a run was."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from shared.auth import MissingRole, Principal, Role
from shared.contracts.base import now
from shared.messaging import parked, resends, topology
from shared.messaging.consumers import Consumers
from shared.messaging.publisher import Outgoing, Publisher, Unroutable
from shared.messaging.republish import republish
from shared.messaging.resends import MOVES, Kind, Listeners, Page, Resender, Snapshot, State, Wish
from shared.messaging.resends.domain import (
    BrokerDoesNotAnswer,
    EndsBeforeItBegins,
    NoSnapshot,
    NoSuchQueue,
    NotKept,
    NotRebuildable,
    OnlyOfTheLog,
    RunIsOver,
    TakesNone,
    end,
)
from shared.messaging.resends.worker import BACKLOG
from shared.messaging.retention import forget_settled
from shared.messaging.tables import AuditRow, DeadLetterRow, InboxRow, OutboxRow, ResendRow
from shared.testing import TestDatabases, Vhost, eventually

from .masonry import (
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
heard: list[Any] = []


async def measure(event: Any, session: Any) -> None:
    """A reaction that keeps a projection."""
    heard.append(event)


async def invite(event: Any, session: Any) -> None:
    """A reaction that tells people."""


def carpenters() -> Consumers:
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, projection=("walls",))(measure)
    consumers.on(StoneLaid, StoneCut)(invite)
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


def resender(masons: Yard, *snapshots: Snapshot) -> Resender:
    return Resender(masons.engine, masons.sessions, masons.publisher, "masonry", snapshots)


async def ask(masons: Yard, *snapshots: Snapshot, who: Principal = OPERATOR, **wish: Any) -> Any:
    known = {"kind": Kind.SNAPSHOT if snapshots else Kind.LOG, "queue": QUEUE, "reason": "lost"}
    async with masons.sessions.begin() as session:
        return await resends.ask(
            session,
            who,
            Wish(**{**known, **wish}),
            service="masonry",
            log_topics=LOG,
            snapshots=snapshots,
            listeners=Listeners(masons.publisher),
        )


async def work_off(sender: Resender) -> None:
    while await sender.step():
        pass


async def seen(masons: Yard, run: ResendRow) -> ResendRow:
    async with masons.sessions() as session:
        found = await session.get(ResendRow, run.run)
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
    await work_off(resender(masons))

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
    await work_off(resender(masons, present))
    await settled(listener, 3)

    async with masons.sessions.begin() as session:
        lost = {"position": {}, "done": 0, "sent": 0, "state": "running"}
        await session.execute(update(ResendRow).values(**lost))
    await work_off(resender(masons, present))

    last = a_stone(99)
    await masons.announce(last)
    await settled(listener, 4)
    assert len(heard) == 4
    assert (await seen(masons, run)).state == "finished"


async def test_another_run_of_the_same_snapshot_is_heard_anew(masons, listener):
    present = stones(a_stone(1))

    for _ in range(2):
        await ask(masons, present)
        await work_off(resender(masons, present))

    await settled(listener, 2)
    assert {e.number for e in heard} == {1}


async def test_two_senders_at_once_send_each_page_once(masons):
    present = stones(*(a_stone(n) for n in range(7)))
    run = await ask(masons, present)
    senders = [resender(masons, present), resender(masons, present)]

    while (await seen(masons, run)).state == "running":
        for sender in senders:
            await sender.step()

    found = await seen(masons, run)
    assert (found.sent, found.done) == (7, 7)
    assert await depth(masons.admin_url, QUEUE) == 7


async def test_who_does_not_get_the_lock_sends_nothing(masons):
    present = stones(a_stone())
    await ask(masons, present)
    async with masons.sessions.begin() as session:
        key = resends.worker.RESEND_LOCK
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

        assert not await resender(masons, present).step()

    assert await resender(masons, present).step()


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
    await work_off(resender(masons))

    await settled(listener, 3 + len(numbers))
    assert sorted(e.number for e in heard[3:]) == numbers


async def test_what_is_still_on_its_way_is_not_sent_twice(masons, listener):
    await masons.write(a_stone(1))

    run = await ask(masons)
    await work_off(resender(masons))

    assert (await seen(masons, run)).sent == 0


async def test_a_queue_that_may_not_hear_facts_again_refuses(masons):
    with pytest.raises(NotRebuildable, match=r"dead-letters list carpentry"):
        await ask(masons, queue="carpentry.invite")


async def test_a_queue_that_does_not_exist_refuses(masons):
    with pytest.raises(NoSuchQueue, match=r"carpentry\.dance"):
        await ask(masons, queue="carpentry.dance")


async def test_a_queue_that_takes_none_of_the_facts_refuses(masons):
    with pytest.raises(TakesNone, match=r"masonry\.stone\.cut"):
        await ask(masons, topics=(StoneCut.topic,))


async def test_a_fact_of_another_service_is_refused(masons):
    with pytest.raises(TakesNone, match=r"announces no carpentry\.beam"):
        await ask(masons, topics=(BeamRaised.topic,))


async def test_a_service_without_a_present_state_refuses_a_snapshot(masons):
    with pytest.raises(NoSnapshot, match="taawon replay masonry"):
        await ask(masons, kind=Kind.SNAPSHOT)


async def test_a_wish_that_contradicts_itself_is_refused(masons):
    with pytest.raises(OnlyOfTheLog):
        await ask(masons, stones(), since=now())
    with pytest.raises(EndsBeforeItBegins):
        await ask(masons, since=now(), until=now() - timedelta(hours=1))


async def test_nobody_but_an_operator_asks(masons):
    with pytest.raises(MissingRole):
        await ask(masons, who=Principal(subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE})))


async def test_without_a_broker_nobody_knows_who_listens(masons):
    away = Publisher("amqp://nobody@127.0.0.1:1/", timeout=1)

    with pytest.raises(BrokerDoesNotAnswer):
        await Listeners(away).of(QUEUE, LOG)


async def test_the_broker_itself_takes_nothing_for_such_a_queue(masons):
    fact = a_stone()

    with pytest.raises(Unroutable):
        await masons.publisher.publish_one(
            Outgoing(message_of(fact), topology.REPLAY, "carpentry.invite")
        )


async def test_a_queue_that_is_not_rebuildable_any_more_is_unbound(masons, site):
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid)(measure)
    await topology.apply(site.admin_url, PAUSES, consumers.reactions)

    with pytest.raises(NotRebuildable):
        await ask(masons)
    with pytest.raises(Unroutable):
        await masons.publisher.publish_one(Outgoing(message_of(a_stone()), topology.REPLAY, QUEUE))


async def test_a_service_cannot_send_the_facts_of_another_again(site, listener):
    beam = BeamRaised(beam_id=uuid.uuid4())
    forged = message_of(a_stone(), type=BeamRaised.topic, body=beam.model_dump_json().encode())

    await post(site.url("masonry"), forged, QUEUE, topology.REPLAY)

    async def look() -> Any:
        async with listener.sessions() as session:
            return await session.scalar(select(DeadLetterRow.error))

    assert "not the owner" in await eventually(look)
    assert heard == []


async def test_a_run_waits_while_its_queue_is_full(masons):
    """Nobody listens: the queue gets no more than a bounded number, and the run goes on later."""
    present = stones(*(a_stone(n) for n in range(BACKLOG * 2)))
    run = await ask(masons, present)

    await work_off(resender(masons, present))

    waiting = await depth(masons.admin_url, QUEUE)
    assert BACKLOG <= waiting < BACKLOG + 2
    assert (await seen(masons, run)).state == "running"


async def test_a_run_whose_queue_has_gone_fails_and_says_so(masons, site):
    present = stones(a_stone())
    run = await ask(masons, present)
    site.broker.management.delete(f"queues/{site.name}/{QUEUE}")

    await work_off(resender(masons, present))

    found = await seen(masons, run)
    assert (found.state, found.error) == (
        "failed",
        f"{QUEUE} is not bound to taawon.replay any more",
    )


async def test_a_page_that_can_not_be_read_fails_the_run_and_not_the_next(masons):
    async def broken(session: Any, after: Any) -> Page:
        await session.execute(text("SELECT 1 / 0"))
        raise AssertionError

    bad = Snapshot("bad", (StoneLaid.topic,), broken, stones().count)
    run = await ask(masons, bad)

    await work_off(resender(masons, bad))

    found = await seen(masons, run)
    assert found.state == "failed"
    assert "could not be read" in found.error


async def test_a_stopped_run_sends_nothing_more_and_says_who_and_why(masons):
    present = stones(*(a_stone(n) for n in range(5)))
    run = await ask(masons, present)
    sender = resender(masons, present)
    await sender.step()

    async with masons.sessions.begin() as session:
        await resends.stop(session, OPERATOR, run.run, reason="enough")
    assert not await sender.step()

    found = await seen(masons, run)
    assert (found.state, found.sent, found.ended_because) == ("stopped", 2, "enough")
    assert found.ended_by == str(OPERATOR.subject)
    with pytest.raises(RunIsOver):
        async with masons.sessions.begin() as session:
            await resends.stop(session, OPERATOR, run.run, reason="again")
    async with masons.sessions() as session:
        said = await session.scalars(select(AuditRow.action).order_by(AuditRow.id))
        assert list(said) == ["snapshot sent again", "resend stopped"]


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
        listed = [(row.event_id, row.last_error) for row in await parked.list_parked(session)]
    assert listed == [(fact.event_id, "TooLarge") for fact in facts]

    async with masons.sessions.begin() as session:
        await parked.release(session, [facts[1].event_id], who="amina", reason="mended")
    await masons.relay.send_batch()

    await settled(listener, 1)
    assert [e.number for e in heard] == [2]
    with pytest.raises(parked.NotSetAside):
        async with masons.sessions.begin() as session:
            await parked.release(session, [facts[1].event_id], who="amina", reason="again")
    async with masons.sessions.begin() as session:
        assert await parked.release(session, [], who="amina", reason="all") == 1
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
