"""Notifications holds a fan-out that would alert many more than were confirmed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select

from devkit import pytest_plugin
from notifications.audience import handlers as audience_handlers
from notifications.fanout.domain.audience_check import AudienceCheckRule
from notifications.fanout.models import alert, fanout_approval_decision
from shared.contracts.deadline import Deadline
from shared.kernel.data import database
from shared.kernel.data.tables import AuditRow

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    cancelled,
    closed,
    extended,
    imported,
    opened,
    published,
    updated,
)
from ..commands import decide, follow


@pytest.mark.parametrize(
    ("confirmed", "matched", "is_alerted"),
    [
        (100, 110, True),
        (100, 111, False),
        (1000, 1100, True),
        (1000, 1101, False),
        (5, 15, True),
        (5, 16, False),
        (0, 11, False),
        (100, 0, True),
    ],
)
def test_a_tenth_more_or_ten_more_is_still_what_was_confirmed(confirmed, matched, is_alerted):
    objection = AudienceCheckRule().objection(confirmed, matched)

    assert (objection is None) is is_alerted
    if objection:
        assert str(confirmed) in objection
        assert str(matched) in objection


def test_without_a_confirmed_number_only_a_limit_objects():
    assert AudienceCheckRule().objection(None, 1_000_000) is None
    assert AudienceCheckRule(above=50).objection(None, 50) is None
    assert "51" in (AudienceCheckRule(above=50).objection(None, 51) or "")
    assert AudienceCheckRule(above=5).objection(60, 60) is None


async def registered(api, count, **profile):
    batch = imported(*(a_record(**profile) for _ in range(count)))
    async with api.sessions.begin() as session:
        await audience_handlers.store_imported_cooperatives(batch, session)


async def alerted(api, subject_id):
    async with api.sessions() as session:
        found = select(func.count()).select_from(alert).where(alert.c.subject_id == subject_id)
        return await session.scalar(found)


async def decisions(api, subject_id):
    async with api.sessions() as session:
        rows = await session.execute(
            select(fanout_approval_decision.c.state, fanout_approval_decision.c.decided_by)
            .where(fanout_approval_decision.c.subject_id == subject_id)
            .order_by(fanout_approval_decision.c.seq)
        )
        return [(row.state.value, row.decided_by is None) for row in rows]


async def test_a_confirmed_audience_is_alerted_at_once(api):
    call = a_call(confirmed_audience=12)
    await registered(api, 12)

    await follow(api, opened(call))

    assert await alerted(api, call.call_id) == 12
    assert await decisions(api, call.call_id) == []


@pytest.mark.parametrize("subject", ["call", "idea"])
async def test_many_more_than_confirmed_wait_for_a_person_who_releases(api, tokens, subject):
    content = (a_call if subject == "call" else an_idea)(confirmed_audience=1)
    subject_id = content.call_id if subject == "call" else content.idea_id
    event = opened(content) if subject == "call" else published(content)
    await registered(api, 12)

    await follow(api, event, event)
    before = await alerted(api, subject_id)
    await decide(api, tokens, "released", subject_id)

    assert (before, await alerted(api, subject_id)) == (0, 12)
    assert await decisions(api, subject_id) == [("held", True), ("released", False)]
    async with api.sessions() as session:
        rows = await session.scalars(select(AuditRow).where(AuditRow.subject_id == subject_id))
        held = next(row for row in rows if row.action == "fan-out held")
    assert held.actor_id is None
    assert held.after["reason"] == "recipients confirmed: 1, matching now: 12"


async def test_a_fan_out_that_waits_may_be_stopped_for_good(api, tokens):
    call = a_call(confirmed_audience=1)
    await registered(api, 12)
    await follow(api, opened(call))

    await decide(api, tokens, "stopped", call.call_id)
    await follow(api, extended(call))

    assert await alerted(api, call.call_id) == 0


async def test_what_notifications_holds_by_itself_is_a_version_to_decide_on(api, tokens):
    call = a_call(confirmed_audience=1)
    await registered(api, 12)
    await follow(api, opened(call))
    operator, path = tokens.headers("operator"), f"/subjects/{call.call_id}/approval"

    seen = await api.http.get(path, headers=operator)
    decision = {"state": "released", "reason": "looked at"}
    late = await api.http.put(path, json=decision, headers={**operator, "If-Match": '"0"'})

    assert (seen.headers["etag"], seen.json()["state"]) == ('"1"', "held")
    assert (late.status_code, await alerted(api, call.call_id)) == (409, 0)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_every_order_of_events_ends_in_the_same_approval(api, order):
    call = a_call(confirmed_audience=1)
    events = [opened(call), extended(call), updated(call, version=4)]
    await registered(api, 12)

    await follow(api, *(events[place] for place in order), *events)

    assert await alerted(api, call.call_id) == 0
    assert await decisions(api, call.call_id) == [("held", True)]


@pytest.mark.parametrize("narrow_first", [True, False])
async def test_newer_content_that_fits_is_fanned_out_whichever_version_came_first(
    api, narrow_first
):
    call = a_call(confirmed_audience=1)
    narrow = updated(call, tracks=(a_track(sectors=["CRAFTS"]),))
    await registered(api, 12)
    await registered(api, 2, sector="CRAFTS")

    await follow(api, *([narrow, opened(call)] if narrow_first else [opened(call), narrow]))

    assert await alerted(api, call.call_id) == 2


async def test_what_a_person_decided_stays_even_where_the_numbers_fit(api, tokens):
    call = a_call(confirmed_audience=12)
    await registered(api, 12)
    await decide(api, tokens, "held", call.call_id)

    await follow(api, opened(call), extended(call))

    assert await alerted(api, call.call_id) == 0
    assert await decisions(api, call.call_id) == [("held", False)]


@pytest.mark.parametrize("end", [cancelled, closed])
async def test_nobody_is_alerted_of_what_ends_while_it_waits(api, tokens, end):
    call = a_call(confirmed_audience=1)
    await registered(api, 12)

    await follow(api, opened(call), end(call))
    await decide(api, tokens, "released", call.call_id)

    assert await alerted(api, call.call_id) == 0


async def held_before_its_deadline(api):
    """A call that was held before its deadline, which is later the slower the machine is."""
    for seconds in (0.4, 4, 40):
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        call = a_call(confirmed_audience=1, deadline=Deadline(at=at, shown="tout à l'heure"))
        await follow(api, opened(call))
        if await decisions(api, call.call_id) == [("held", True)]:
            return call
    raise AssertionError("not held back within 40 s")


async def test_a_release_after_the_deadline_alerts_nobody(api, tokens):
    """Between the deadline and the event that the call is closed, a release alerts nobody."""
    record = a_record()
    async with api.sessions.begin() as session:
        batch = imported(record)
        await audience_handlers.store_imported_cooperatives(batch, session)
    await registered(api, 11)
    call = await held_before_its_deadline(api)
    await pytest_plugin.eventually(
        lambda: datetime.now(UTC) > call.deadline.at + timedelta(seconds=0.02)
    )

    released = await decide(api, tokens, "released", call.call_id)
    await follow(api, closed(call))

    why = await api.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}", headers=tokens.headers("operator")
    )
    assert (released["alerted"], await alerted(api, call.call_id)) == (0, 0)
    assert why.json()["because"] == "subject_not_open"
    assert why.json()["summary"] == "La date limite de l'appel était dépassée à ce moment."


async def test_an_extended_call_is_alerted_on_release_though_its_deadline_had_passed(api, tokens):
    past = Deadline(at=datetime.now(UTC) - timedelta(minutes=1), shown="hier")
    call = a_call(deadline=past)
    await registered(api, 3)
    await decide(api, tokens, "held", call.call_id)
    await follow(api, opened(call), extended(call))

    await decide(api, tokens, "released", call.call_id)

    assert await alerted(api, call.call_id) == 3


async def test_an_unconfirmed_audience_above_the_limit_waits(api):
    settings = pytest_plugin.test_settings("notifications", "postgresql://unused", confirm_above=10)
    api.sessions.configure(info=database.info_of(settings))
    call, small = a_call(), a_call(a_track(sectors=["CRAFTS"]))
    await registered(api, 11)
    await registered(api, 1, sector="CRAFTS", province="MA-AGD")

    await follow(api, opened(call), opened(small))

    assert await alerted(api, call.call_id) == 0
    assert await alerted(api, small.call_id) == 1
    assert await decisions(api, call.call_id) == [("held", True)]
