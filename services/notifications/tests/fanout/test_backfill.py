"""Backfill: who changed is alerted of the open subjects that it matches now."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import DBAPIError

from notifications.audience import handlers as audience_handlers
from notifications.audience.models import audience_change
from notifications.fanout import handlers
from notifications.fanout.jobs import BackfillSteps
from notifications.fanout.models import alert, subject
from notifications.fanout.usecases import backfill
from shared.contracts.registry import CooperativeChanged
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    cancelled,
    closed,
    imported,
    opened,
    published,
)
from ..commands import alerts_of, backfill_all, recipients, store_and_backfill

pytestmark = pytest.mark.servers

CALLS = {
    "argan": [a_track(sectors=["ARGAN"])],
    "crafts": [a_track(sectors=["CRAFTS"])],
    "either": [a_track(sectors=["CRAFTS"]), a_track(sectors=["ARGAN"], min_members=10)],
    "young": [a_track(min_share_youth={"percent": 50})],
}


async def open_subjects(session):
    calls = {name: a_call(*tracks) for name, tracks in CALLS.items()}
    for call in calls.values():
        await handlers.follow_call(opened(call), session)
    idea = an_idea()
    await handlers.follow_idea(published(idea), session)
    return {call.call_id: name for name, call in calls.items()} | {idea.idea_id: "idea"}


async def alerted(session, subjects):
    rows = await session.execute(
        select(alert.c.cooperative_id, alert.c.subject_id, alert.c.unknown_tracks)
    )
    return {(who, subjects[subject], unknown) for who, subject, unknown in rows}


@pytest.mark.parametrize("limit", [0, 50], ids=["matched in the database", "looked at before"])
async def test_few_and_many_are_alerted_of_the_same_subjects(session, monkeypatch, limit):
    monkeypatch.setattr(backfill, "MOST_PREFILTERED", limit)
    subjects = await open_subjects(session)
    fits = a_record(sector="ARGAN", members_total=12, members_youth=9)
    small = a_record(sector="ARGAN", members_total=8, members_youth=1)
    unsure = a_record(sector="CRAFTS", members_total=8, members_youth=None)
    elsewhere = a_record(sector="FISHERIES", members_total=8, members_youth=1)
    gone = a_record(sector="ARGAN", members_youth=9, legal_status="dissolved")

    await store_and_backfill(session, fits, small, unsure, elsewhere, gone)

    assert await alerted(session, subjects) == {
        (fits.cooperative_id, "idea", 0),
        (small.cooperative_id, "idea", 0),
        (fits.cooperative_id, "argan", 0),
        (fits.cooperative_id, "either", 0),
        (fits.cooperative_id, "young", 0),
        (small.cooperative_id, "argan", 0),
        (unsure.cooperative_id, "crafts", 0),
        (unsure.cooperative_id, "either", 0),
        (unsure.cooperative_id, "young", 1),
    }


async def test_a_change_that_concerns_one_subject_costs_one_insert_of_alerts(session):
    await open_subjects(session)
    ran: list[str] = []
    connection = (await session.connection()).sync_connection

    def note(_c, _cursor, statement, *_):
        ran.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    await store_and_backfill(
        session, a_record(sector="FISHERIES", members_youth=None, members_total=9)
    )
    event.remove(connection, "before_cursor_execute", note)

    assert sum("INSERT INTO alert " in statement for statement in ran) == 1


async def test_a_cooperative_that_arrives_after_the_call_is_alerted_once(session):
    call, record = a_call(), a_record()
    await handlers.follow_call(opened(call), session)

    await store_and_backfill(session, record)
    await store_and_backfill(session, record)

    assert [r.cooperative_id for r in await alerts_of(session, call.call_id)] == [
        record.cooperative_id
    ]


@pytest.mark.parametrize("ending", [closed, cancelled])
async def test_a_cooperative_that_arrives_after_the_end_is_not_alerted(session, ending):
    call = a_call()
    await handlers.follow_call(opened(call), session)
    await handlers.follow_call(ending(call), session)

    await store_and_backfill(session, a_record())

    assert await alerts_of(session, call.call_id) == []


async def test_a_changed_record_that_matches_now_is_alerted(session):
    call, record = a_call(), a_record(province="MA-AGD")
    await audience_handlers.store_imported_cooperatives(imported(record), session)
    await handlers.follow_call(opened(call), session)
    moved = record.model_copy(update={"version": 2, "province": "MA-TIZ"})

    await audience_handlers.store_cooperative(
        CooperativeChanged(
            aggregate_version=2, cooperative_id=moved.cooperative_id, cooperative=moved
        ),
        session,
    )
    await backfill_all(session)

    assert await recipients(session, call.call_id) == {record.cooperative_id}


async def test_backfilled_alerts_are_counted_with_the_others(session):
    call = a_call()
    await store_and_backfill(session, a_record())
    await handlers.follow_call(opened(call), session)

    await store_and_backfill(session, a_record(), a_record(), a_record(province="MA-AGD"))

    alerted = select(subject.c.alerted).where(subject.c.subject_id == call.call_id)
    assert await session.scalar(alerted) == 3


async def test_a_note_is_deleted_with_its_backfill_and_stays_when_that_fails(databases):
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    call, record = a_call(), a_record()
    async with sessions.begin() as session:
        await handlers.follow_call(opened(call), session)
        await audience_handlers.store_imported_cooperatives(imported(record), session)

    async with sessions() as session:  # a process that dies before it commits
        await backfill.backfill_alerts(session)
        assert await recipients(session, call.call_id) == {record.cooperative_id}

    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(audience_change)) == 1
        assert await recipients(session, call.call_id) == set()
        assert await backfill.backfill_alerts(session)
        assert await recipients(session, call.call_id) == {record.cooperative_id}
        assert not await backfill.backfill_alerts(session)
    await engine.dispose()


async def test_a_second_change_during_a_backfill_is_not_lost_with_the_first_note(databases):
    """The second change commits while a backfill works on the note of the first."""
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    call, record = a_call(), a_record(province="MA-AGD")
    moved = record.model_copy(update={"version": 2, "province": "MA-TIZ"})
    async with sessions.begin() as session:
        await handlers.follow_call(opened(call), session)
        await audience_handlers.store_imported_cooperatives(imported(record), session)

    async with sessions.begin() as session:
        await backfill.backfill_alerts(session)
        async with sessions.begin() as other:
            await audience_handlers.store_imported_cooperatives(imported(moved), other)

    async with sessions.begin() as session:
        assert await recipients(session, call.call_id) == set()
        await backfill_all(session)
        assert await recipients(session, call.call_id) == {record.cooperative_id}
    await engine.dispose()


async def step(sessions, **options):
    async with sessions.begin() as session:
        return await backfill.backfill_alerts(session, **options)


async def test_between_two_steps_of_a_backfill_a_fan_out_gets_its_turn(databases, monkeypatch):
    """However many subjects are open: a step ends, its lock is free, and the next goes on there."""
    monkeypatch.setattr(backfill, "STEP_SECONDS", 0)
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    calls, between, record = [a_call() for _ in range(5)], a_call(), a_record()
    async with sessions.begin() as session:
        for call in calls:
            await handlers.follow_call(opened(call), session)
        await audience_handlers.store_imported_cooperatives(imported(record), session)

    assert await step(sessions)
    async with sessions.begin() as session:
        done = await session.scalar(select(func.count()).select_from(alert))
        await handlers.follow_call(opened(between), session)
    while await step(sessions):
        pass

    async with sessions() as session:
        found = await session.execute(select(alert.c.subject_id, alert.c.cooperative_id))
        everybody = {(call.call_id, record.cooperative_id) for call in (*calls, between)}
        assert (done, sorted(found.all())) == (1, sorted(everybody))
    await engine.dispose()


async def test_a_change_by_hand_does_not_wait_behind_an_import(session):
    call, by_hand = a_call(), a_record()
    await handlers.follow_call(opened(call), session)
    many = [a_record() for _ in range(30)]
    await audience_handlers.store_imported_cooperatives(imported(*many), session)
    await audience_handlers.store_imported_cooperatives(imported(by_hand), session)

    await backfill.backfill_alerts(session, most=30)

    assert await recipients(session, call.call_id) == {by_hand.cooperative_id}


async def test_a_statement_matches_no_more_cooperatives_than_it_may(session):
    call, records = a_call(), [a_record() for _ in range(5)]
    await handlers.follow_call(opened(call), session)
    await audience_handlers.store_imported_cooperatives(imported(*records), session)

    counts = []
    while await backfill.backfill_alerts(session, most=2):
        counts.append(len(await recipients(session, call.call_id)))

    assert counts == [2, 4, 5]


SLOW_ALERTS = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON alert FOR EACH ROW EXECUTE FUNCTION slow();
"""


async def test_a_backfill_that_takes_too_long_goes_on_with_fewer_at_once(databases):
    url = databases.fresh("notifications")
    engine = make_engine(url, statement_seconds=2)
    sessions = make_sessions(engine)
    call, records = a_call(), [a_record() for _ in range(400)]
    async with sessions.begin() as session:
        await handlers.follow_call(opened(call), session)
        await audience_handlers.store_imported_cooperatives(imported(*records), session)
        raw = await (await session.connection()).get_raw_connection()
        await raw.driver_connection.execute(SLOW_ALERTS)
    steps = BackfillSteps(sessions)
    sizes = []

    more = True
    while more:
        with suppress(DBAPIError, OSError, TimeoutError):
            more = await steps.step()
        sizes.append(steps.most)

    async with sessions() as session:
        assert len(await recipients(session, call.call_id)) == 400
    assert min(sizes) < 100
    await engine.dispose()


async def test_a_fan_out_and_an_import_at_once_miss_nobody(databases):
    """Imports and fan-outs commit at the same time: every cooperative is alerted once.

    Three backfills run beside them, as in three processes.
    """
    engine = make_engine(databases.fresh("notifications"), pool_size=10)
    sessions = make_sessions(engine)
    calls = [a_call() for _ in range(6)]
    batches = [[a_record() for _ in range(40)] for _ in range(12)]

    async def run(handler, event):
        async with sessions.begin() as session:
            await handler(event, session)

    over = asyncio.Event()

    async def backfill_until_over():
        while True:
            ends = over.is_set()
            async with sessions.begin() as session:
                found = await backfill.backfill_alerts(session)
            if ends and not found:
                return

    backfillers = [asyncio.create_task(backfill_until_over()) for _ in range(3)]
    await asyncio.gather(
        *(
            run(audience_handlers.store_imported_cooperatives, imported(*batch))
            for batch in batches
        ),
        *(run(handlers.follow_call, opened(call)) for call in calls),
    )
    over.set()
    await asyncio.gather(*backfillers)

    async with sessions() as session:
        alerted = await session.execute(
            select(alert.c.subject_id, func.count()).group_by(alert.c.subject_id)
        )
        counted = await session.execute(select(subject.c.subject_id, subject.c.alerted))
        assert dict(alerted.all()) == {call.call_id: 480 for call in calls}
        assert dict(counted.all()) == {call.call_id: 480 for call in calls}
    await engine.dispose()
