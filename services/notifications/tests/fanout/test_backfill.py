"""Matches to backfill: who is alerted of what is open, however many changed and however much is
open."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select

from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.fanout.models import alert
from notifications.fanout.usecases import backfill
from notifications.fanout.usecases.backfill import backfill_alerts

from ..builders import a_call, a_record, a_track, an_idea, imported, opened, published

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


async def arrived(session, *records):
    batch = imported(*records)
    await audience_handlers.store_imported_cooperatives(batch, session)
    await backfill_alerts(session)


async def alerted(session, subjects):
    rows = await session.execute(
        select(alert.c.cooperative_id, alert.c.subject_id, alert.c.unknown_tracks)
    )
    return {(who, subjects[subject], unknown) for who, subject, unknown in rows}


@pytest.mark.parametrize("few", [0, 50], ids=["matched in the database", "looked at before"])
async def test_few_and_many_are_alerted_of_the_same_subjects(session, monkeypatch, few):
    monkeypatch.setattr(backfill, "MOST_PREFILTERED", few)
    subjects = await open_subjects(session)
    fits = a_record(sector="ARGAN", members_total=12, members_youth=9)
    small = a_record(sector="ARGAN", members_total=8, members_youth=1)
    unsure = a_record(sector="CRAFTS", members_total=8, members_youth=None)
    elsewhere = a_record(sector="FISHERIES", members_total=8, members_youth=1)
    gone = a_record(sector="ARGAN", members_youth=9, legal_status="dissolved")

    await arrived(session, fits, small, unsure, elsewhere, gone)

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


async def test_a_change_that_concerns_one_subject_costs_one_statement_that_alerts(session):
    await open_subjects(session)
    ran: list[str] = []
    connection = (await session.connection()).sync_connection

    def note(_c, _cursor, statement, *_):
        ran.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    await arrived(session, a_record(sector="FISHERIES", members_youth=None, members_total=9))
    event.remove(connection, "before_cursor_execute", note)

    assert sum("INSERT INTO alert " in statement for statement in ran) == 1
