"""Events in, alerts and feeds out: in any order, once, with the reason."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from itertools import permutations

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select

from notifications.audience import handlers as audience_handlers
from notifications.audience.models import audience, audience_change, audience_history
from notifications.fanout import handlers
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.models import alert, subject
from notifications.fanout.usecases import backfill
from notifications.partners import handlers as partners_handlers
from notifications.partners.models import feed_entry, partner
from notifications.partners.models import subscription as subscription_table
from shared.contracts.base import ImplausibleVersion
from shared.contracts.deadline import Deadline
from shared.contracts.registry import CooperativeChanged, CooperativesImported, PartnerRegistered
from shared.eligibility.evaluate import evaluate
from shared.eligibility.verdict import Outcome
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import OutboxRow

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    as_announcement,
    cancelled,
    closed,
    extended,
    imported,
    opened,
    published,
    updated,
    withdrawn,
)

pytestmark = pytest.mark.servers


async def kept(session, *records):
    """The audience has these records, and whoever matches only now has been alerted."""
    await audience_handlers.store_imported_cooperatives(imported(*records), session)
    await backfill_all(session)


async def backfill_all(session):
    while await backfill.backfill_alerts(session):
        pass


async def alerts_of(session, subject_id):
    rows = await session.execute(
        select(alert).where(alert.c.subject_id == subject_id).order_by(alert.c.seq)
    )
    return rows.all()


async def recipients(session, subject_id, edition=0):
    rows = await alerts_of(session, subject_id)
    return {row.cooperative_id for row in rows if row.edition == edition}


async def test_an_opened_call_alerts_every_match_and_nobody_else(session):
    inside, outside = a_record(), a_record(province="MA-AGD")
    call = a_call()
    await audience_handlers.store_imported_cooperatives(imported(inside, outside), session)

    await handlers.follow_call(opened(call), session)

    assert await recipients(session, call.call_id) == {inside.cooperative_id}


async def test_the_alerts_are_those_of_the_pure_evaluator_with_the_matched_tracks(session):
    records = [
        a_record(
            province=province,
            sector=sector,
            members_women=women,
            members_youth=youth,
            legal_status=status,
        )
        for province in ("MA-TIZ", "MA-AGD", None)
        for sector in ("ARGAN", "CRAFTS", None)
        for women, youth in ((12, 3), (2, None), (0, 1), (None, None))
        for status in ("registered", "struck_off")
    ]
    tracks = (
        a_track(provinces=["MA-TIZ"], min_share_women={"percent": 30, "strict": True}),
        a_track(
            regions=["MA-09"],
            sectors=["ARGAN"],
            min_share_women_plus_youth={"percent": 30, "strict": True},
        ),
    )
    call = a_call(*tracks)
    await audience_handlers.store_imported_cooperatives(imported(*records), session)

    await handlers.follow_call(opened(call), session)

    expected = {}
    for record in records:
        verdicts = [
            evaluate(criteria, record.profile(), reference_on=call.reference_on)
            for criteria in audience_tracks(as_announcement(call))
        ]
        masks = tuple(
            sum(1 << n for n, v in enumerate(verdicts) if v.outcome is outcome)
            for outcome in (Outcome.ELIGIBLE, Outcome.UNKNOWN)
        )
        if any(masks):
            expected[record.cooperative_id] = masks
    rows = await alerts_of(session, call.call_id)
    assert {r.cooperative_id: (r.eligible_tracks, r.unknown_tracks) for r in rows} == expected
    assert any(eligible == 0 for eligible, _ in expected.values())


async def test_the_totals_and_the_completed_event_count_what_was_written(session):
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 10}))
    await audience_handlers.store_imported_cooperatives(
        imported(a_record(), a_record(members_youth=None), a_record(members_youth=0)), session
    )

    await handlers.follow_call(opened(call), session)

    row = (await session.execute(select(subject).where(subject.c.subject_id == call.call_id))).one()
    assert (row.eligible, row.unknown, row.alerted) == (1, 1, 2)
    said = await session.scalar(
        select(OutboxRow).where(OutboxRow.topic == "notifications.fanout.completed.v1")
    )
    assert b'"eligible":1,"unknown":1,"alerted":2' in said.body


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0)])
async def test_opened_and_extended_end_alike_in_every_order_and_number(session, order):
    record, call = a_record(), a_call()
    events = [opened(call), extended(call)]
    await audience_handlers.store_imported_cooperatives(imported(record), session)

    for place in order:
        await handlers.follow_call(events[place], session)

    rows = await alerts_of(session, call.call_id)
    assert [row.edition for row in rows].count(0) == 1
    assert max(row.subject_version for row in rows) == 3
    assert {row.cooperative_id for row in rows} == {record.cooperative_id}


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_after_a_cancellation_nobody_is_left_believing(session, order):
    """Whoever was alerted anything is alerted the end; whoever was not is never alerted a first
    time."""
    record, call = a_record(), a_call()
    longer = extended(call)
    events = [opened(call), longer, cancelled(longer.call)]
    await audience_handlers.store_imported_cooperatives(imported(record), session)

    for place in order:
        await handlers.follow_call(events[place], session)

    rows = await alerts_of(session, call.call_id)
    cancelled_first = order[0] == 2
    assert [row.kind for row in rows][-1:] == ([] if cancelled_first else ["cancelled"])
    assert [row.edition for row in rows].count(0) == (0 if cancelled_first else 1)


async def test_a_correction_reaches_exactly_those_alerted_before(session):
    alerted, other = a_record(), a_record(province="MA-AGD")
    call = a_call()
    await audience_handlers.store_imported_cooperatives(imported(alerted, other), session)
    await handlers.follow_call(opened(call), session)

    await handlers.follow_call(extended(call), session)

    assert await recipients(session, call.call_id, edition=3) == {alerted.cooperative_id}


async def test_a_call_that_was_over_and_is_extended_alerts_who_came_to_match_meanwhile(session):
    alerted, late = a_record(), a_record()
    past = Deadline(at=datetime(2026, 11, 24, 9, 1, tzinfo=UTC), shown="hier")
    call = a_call(opened_at=datetime(2026, 11, 1, tzinfo=UTC))
    await audience_handlers.store_imported_cooperatives(imported(alerted), session)
    await handlers.follow_call(opened(call), session)
    shorter = updated(call, deadline=past)
    await handlers.follow_call(shorter, session)
    await kept(session, late)
    assert await recipients(session, call.call_id) == {alerted.cooperative_id}

    await handlers.follow_call(extended(shorter.call), session)

    assert await recipients(session, call.call_id) == {alerted.cooperative_id, late.cooperative_id}
    assert await recipients(session, call.call_id, edition=4) == {alerted.cooperative_id}


async def test_wider_criteria_alert_the_new_matches_once(session):
    alerted, new = a_record(), a_record(province="MA-AGD")
    call = a_call()
    await audience_handlers.store_imported_cooperatives(imported(alerted, new), session)
    await handlers.follow_call(opened(call), session)

    await handlers.follow_call(updated(call, tracks=(a_track(regions=["MA-09"]),)), session)

    assert await recipients(session, call.call_id) == {alerted.cooperative_id, new.cooperative_id}
    assert await recipients(session, call.call_id, edition=3) == {alerted.cooperative_id}


async def test_a_cooperative_that_arrives_after_the_call_is_alerted_once(session):
    call, record = a_call(), a_record()
    await handlers.follow_call(opened(call), session)

    await kept(session, record)
    await kept(session, record)

    assert [r.cooperative_id for r in await alerts_of(session, call.call_id)] == [
        record.cooperative_id
    ]


@pytest.mark.parametrize("ending", [closed, cancelled])
async def test_a_cooperative_that_arrives_after_the_end_is_not_alerted(session, ending):
    call = a_call()
    await handlers.follow_call(opened(call), session)
    await handlers.follow_call(ending(call), session)

    await kept(session, a_record())

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


async def test_those_who_come_late_are_counted_with_the_others(session):
    call = a_call()
    await kept(session, a_record())
    await handlers.follow_call(opened(call), session)

    await kept(session, a_record(), a_record(), a_record(province="MA-AGD"))

    alerted = select(subject.c.alerted).where(subject.c.subject_id == call.call_id)
    assert await session.scalar(alerted) == 3


async def test_a_note_is_gone_when_it_was_worked_on_and_stays_when_that_failed(databases):
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


async def test_a_change_of_somebody_who_is_being_alerted_is_not_lost_with_the_note(databases):
    """While one works on the note of a first change, the second change of the same comes in."""
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


async def test_a_published_idea_alerts_its_territory_and_sectors(session):
    idea = an_idea()
    near, other_sector = a_record(), a_record(sector="CRAFTS")
    await audience_handlers.store_imported_cooperatives(imported(near, other_sector), session)

    await handlers.follow_idea(published(idea), session)
    await handlers.follow_idea(withdrawn(idea), session)

    rows = await alerts_of(session, idea.idea_id)
    assert [(row.cooperative_id, row.kind) for row in rows] == [
        (near.cooperative_id, "published"),
        (near.cooperative_id, "withdrawn"),
    ]


async def test_an_older_record_never_replaces_a_newer_one(session):
    newer = a_record(version=3, sector="FISHERIES")
    older = newer.model_copy(update={"version": 2, "sector": "ARGAN"})

    await audience_handlers.store_imported_cooperatives(imported(newer), session)
    await audience_handlers.store_imported_cooperatives(imported(older), session)

    assert (
        await session.scalar(
            select(audience.c.sector).where(audience.c.cooperative_id == newer.cooperative_id)
        )
        == "FISHERIES"
    )


async def test_every_version_of_a_record_stays_in_the_history(session):
    first = a_record()
    second = first.model_copy(update={"version": 2, "members_women": 14})

    await audience_handlers.store_imported_cooperatives(imported(first), session)
    await audience_handlers.store_imported_cooperatives(imported(second), session)

    rows = await session.execute(
        select(audience_history.c.version, audience_history.c.members_women)
        .where(audience_history.c.cooperative_id == first.cooperative_id)
        .order_by(audience_history.c.version)
    )
    assert [tuple(row) for row in rows] == [(1, 12), (2, 14)]


async def a_subscriber(session, slug, **wanted):
    await session.execute(partner.insert().values(slug=slug))
    await session.execute(
        subscription_table.insert().values(subscription_id=uuid.uuid4(), slug=slug, filter=wanted)
    )


async def test_each_partner_gets_what_it_asked_for_numbered_from_one(session):
    await a_subscriber(session, "indh", topics=["funding.call.*"])
    await a_subscriber(session, "souss", regions=["MA-01"])
    call, idea = a_call(), an_idea()

    await partners_handlers.feed_partners(opened(call), session)
    await partners_handlers.feed_partners(published(idea), session)
    await partners_handlers.feed_partners(extended(call), session)

    rows = await session.execute(
        select(feed_entry.c.slug, feed_entry.c.position, feed_entry.c.topic).order_by(
            feed_entry.c.slug, feed_entry.c.position
        )
    )
    assert [tuple(row) for row in rows] == [
        ("indh", 1, "funding.call.opened.v1"),
        ("indh", 2, "funding.call.deadline_extended.v1"),
    ]


async def test_two_subscriptions_of_a_partner_make_one_entry(session):
    await a_subscriber(session, "indh", topics=["funding.call.*"])
    await session.execute(
        subscription_table.insert().values(subscription_id=uuid.uuid4(), slug="indh", filter={})
    )
    event = opened(a_call())

    await partners_handlers.feed_partners(event, session)
    await partners_handlers.feed_partners(event, session)

    entries = await session.execute(select(feed_entry.c.position, feed_entry.c.subscriptions))
    ((position, subscriptions),) = entries.all()
    assert (position, len(subscriptions)) == (1, 2)


async def test_partners_see_public_fields_only(session):
    await a_subscriber(session, "indh")
    idea = an_idea()

    await partners_handlers.feed_partners(published(idea), session)

    body = await session.scalar(select(feed_entry.c.body))
    assert str(idea.author_id).encode() not in body
    assert str(idea.idea_id).encode() in body


async def test_the_newest_name_of_a_partner_stays(session):
    def named(version, name):
        return PartnerRegistered(
            aggregate_version=version,
            partner_id=uuid.uuid4(),
            slug="fm5",
            name={"fr": name, "ar": "مؤسسة"},
            kind="foundation",
        )

    await partners_handlers.store_partner(named(2, "Fondation"), session)
    await partners_handlers.store_partner(named(1, "Old"), session)

    name = await session.scalar(select(partner.c.name).where(partner.c.slug == "fm5"))
    assert name["fr"] == "Fondation"


async def test_a_fan_out_and_an_import_at_once_miss_nobody(databases):
    """All commit for real, at the same time, again and again: every cooperative is alerted once.

    Three backfill matches beside them, so that replicas meet, too.
    """
    engine = make_engine(databases.fresh("notifications"), pool_size=10)
    sessions = make_sessions(engine)
    calls = [a_call() for _ in range(6)]
    batches = [[a_record() for _ in range(40)] for _ in range(12)]

    async def run(handler, event):
        async with sessions.begin() as session:
            await handler(event, session)

    over = asyncio.Event()

    async def take_notes():
        while True:
            ends = over.is_set()
            async with sessions.begin() as session:
                found = await backfill.backfill_alerts(session)
            if ends and not found:
                return

    backfillers = [asyncio.create_task(take_notes()) for _ in range(3)]
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


async def test_twenty_writers_leave_no_hole_for_a_polling_reader(databases):
    engine = make_engine(databases.fresh("notifications"), pool_size=25)
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        await a_subscriber(session, "indh")
    events = [opened(a_call()) for _ in range(200)]

    async def write(part):
        for event in part:
            async with sessions.begin() as session:
                await partners_handlers.feed_partners(event, session)

    async def read():
        seen, after = [], 0
        while len(seen) < len(events):
            async with sessions() as session:
                rows = await session.execute(
                    select(feed_entry.c.position, feed_entry.c.event_id)
                    .where(feed_entry.c.position > after)
                    .order_by(feed_entry.c.position)
                    .limit(7)
                )
                page = rows.all()
            seen += page
            after = page[-1].position if page else after
        return seen

    seen, *_ = await asyncio.gather(read(), *(write(events[n::20]) for n in range(20)))

    assert [position for position, _ in seen] == list(range(1, 201))
    assert {event_id for _, event_id in seen} == {event.event_id for event in events}
    await engine.dispose()


VERSION_GAP = 1_001


async def test_a_version_that_skips_silences_neither_a_subject_nor_those_after_it(session):
    record, call = a_record(), a_call()
    await kept(session, record)
    await handlers.follow_call(opened(call), session)
    far = call.model_copy(update={"version": call.version + VERSION_GAP})

    async with session.begin_nested() as attempt:
        with pytest.raises(ImplausibleVersion):
            await handlers.follow_call(updated(far), session)
        await attempt.rollback()
    await handlers.follow_call(cancelled(call), session)

    assert [row.kind for row in await alerts_of(session, call.call_id)] == ["opened", "cancelled"]


async def test_a_version_that_skips_silences_no_cooperative_of_its_batch(session):
    record, other = a_record(), a_record()
    await kept(session, record, other)
    far = record.model_copy(update={"version": record.version + VERSION_GAP})
    newer = record.model_copy(update={"version": 2, "province": "MA-AGD"})

    for batch in ([far], [other, far], [newer, far]):
        with pytest.raises(ImplausibleVersion):
            await audience_handlers.store_imported_cooperatives(imported(*batch), session)
    await kept(session, newer)

    found = await session.execute(select(audience.c.version, audience.c.province))
    assert {tuple(row) for row in found} == {(2, "MA-AGD"), (1, "MA-TIZ")}


async def test_the_same_cooperative_twice_in_a_batch_counts_as_its_newest(session):
    record = a_record()
    newer = record.model_copy(update={"version": 2, "province": "MA-AGD"})

    await kept(session, newer, record, newer)

    rows = (await session.execute(select(audience.c.version, audience.c.province))).all()
    assert [tuple(row) for row in rows] == [(2, "MA-AGD")]


@pytest.mark.parametrize("many", [0, 501])
def test_a_batch_holds_one_to_five_hundred(many):
    batch = {"batch_id": uuid.uuid4(), "import_id": uuid.uuid4()}

    with pytest.raises(ValidationError, match="cooperatives"):
        CooperativesImported(**batch, cooperatives=[a_record()] * many)


def test_a_call_that_closes_before_it_opens_is_no_event():
    call = a_call()
    late = call.model_copy(update={"opened_at": call.deadline.at}).model_dump()

    with pytest.raises(ValidationError, match="not after the opening"):
        type(call).model_validate(late)
    type(call).model_validate({**late, "state": "closed"})
