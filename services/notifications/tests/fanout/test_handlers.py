"""Events become alerts: in any order, once, with the tracks that matched."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.models import subject
from shared.contracts.base import LARGEST_VERSION_GAP, ImplausibleVersion
from shared.contracts.deadline import Deadline
from shared.eligibility.evaluate import evaluate
from shared.eligibility.verdict import Outcome
from shared.kernel.data.tables import OutboxRow

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    as_announcement,
    cancelled,
    extended,
    imported,
    opened,
    published,
    updated,
    withdrawn,
)
from ..commands import alerts_of, recipients, store_and_backfill

pytestmark = pytest.mark.servers


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
    completed = await session.scalar(
        select(OutboxRow).where(OutboxRow.topic == "notifications.fanout.completed.v1")
    )
    assert b'"eligible":1,"unknown":1,"alerted":2' in completed.body


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
async def test_a_cancellation_reaches_whoever_was_alerted_in_every_order_of_events(session, order):
    """Whoever was alerted is alerted of the cancellation; nobody gets a first alert after it."""
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


async def test_a_call_extended_after_its_deadline_alerts_who_came_to_match_meanwhile(session):
    alerted, newcomer = a_record(), a_record()
    past = Deadline(at=datetime(2026, 11, 24, 9, 1, tzinfo=UTC), shown="hier")
    call = a_call(opened_at=datetime(2026, 11, 1, tzinfo=UTC))
    await audience_handlers.store_imported_cooperatives(imported(alerted), session)
    await handlers.follow_call(opened(call), session)
    shorter = updated(call, deadline=past)
    await handlers.follow_call(shorter, session)
    await store_and_backfill(session, newcomer)
    assert await recipients(session, call.call_id) == {alerted.cooperative_id}

    await handlers.follow_call(extended(shorter.call), session)

    assert await recipients(session, call.call_id) == {
        alerted.cooperative_id,
        newcomer.cooperative_id,
    }
    assert await recipients(session, call.call_id, edition=4) == {alerted.cooperative_id}


async def test_wider_criteria_alert_the_new_matches_once(session):
    alerted, new = a_record(), a_record(province="MA-AGD")
    call = a_call()
    await audience_handlers.store_imported_cooperatives(imported(alerted, new), session)
    await handlers.follow_call(opened(call), session)

    await handlers.follow_call(updated(call, tracks=(a_track(regions=["MA-09"]),)), session)

    assert await recipients(session, call.call_id) == {alerted.cooperative_id, new.cooperative_id}
    assert await recipients(session, call.call_id, edition=3) == {alerted.cooperative_id}


async def test_a_published_idea_alerts_cooperatives_of_its_territory_and_sectors(session):
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


async def test_a_version_that_skips_silences_neither_a_subject_nor_those_after_it(session):
    record, call = a_record(), a_call()
    await store_and_backfill(session, record)
    await handlers.follow_call(opened(call), session)
    far = call.model_copy(update={"version": call.version + LARGEST_VERSION_GAP + 1})

    async with session.begin_nested() as attempt:
        with pytest.raises(ImplausibleVersion):
            await handlers.follow_call(updated(far), session)
        await attempt.rollback()
    await handlers.follow_call(cancelled(call), session)

    assert [row.kind for row in await alerts_of(session, call.call_id)] == ["opened", "cancelled"]


def test_a_call_that_opens_after_its_deadline_is_refused():
    call = a_call()
    too_late = call.model_copy(update={"opened_at": call.deadline.at}).model_dump()

    with pytest.raises(ValidationError, match="not after the opening"):
        type(call).model_validate(too_late)
    type(call).model_validate({**too_late, "state": "closed"})
