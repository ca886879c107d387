"""Looking before the fan-out; holding a fan-out back, releasing it, stopping it."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from itertools import product

import pytest
from sqlalchemy import select

from notifications.app import COUNTS, NAMES
from notifications.audience import handlers as audience_handlers
from notifications.database_clock import day_in_morocco
from notifications.fanout import handlers
from notifications.fanout.domain.fanout_approval import (
    EVERYTHING,
    MOVES,
    ApprovalState,
    FanoutApproval,
    StopsOneOnly,
)
from notifications.fanout.models import alert
from notifications.fanout.usecases import backfill, fanout_approval
from shared.errors import IllegalMove
from shared.kernel.data.tables import AuditRow

from ..builders import a_call, a_record, cancelled, extended, imported, opened, updated

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def an_approval(state: ApprovalState, subject_id: uuid.UUID | None = None) -> FanoutApproval:
    return FanoutApproval(
        subject_id=subject_id or uuid.uuid4(),
        state=state,
        reason="r",
        decided_by=uuid.uuid4(),
        decided_at=NOW,
    )


@pytest.mark.parametrize(
    ("start", "target"),
    [(s, t) for s, t in product(ApprovalState, ApprovalState) if t not in MOVES[s]],
)
def test_every_move_of_a_approval_not_in_the_table_is_refused(start, target):
    approval = an_approval(start)

    with pytest.raises(IllegalMove):
        approval.decide(target, reason="x", by=uuid.uuid4(), at=NOW)

    assert (approval.state, approval.reason) == (start, "r")


def test_everything_can_be_held_but_not_stopped_for_good():
    with pytest.raises(StopsOneOnly):
        an_approval(ApprovalState.HELD, EVERYTHING).decide(
            ApprovalState.STOPPED, reason="x", by=uuid.uuid4(), at=NOW
        )


async def consume(api, handler, *events):
    for event in events:
        async with api.sessions.begin() as session:
            await handler(event, session)


async def registered(api, *records):
    batch = imported(*records)
    await consume(api, audience_handlers.store_imported_cooperatives, batch)
    async with api.sessions.begin() as session:
        await backfill.backfill_alerts(session)


async def decide(api, tokens, state, subject_id=None, status=200):
    path = f"/subjects/{subject_id}/approval" if subject_id else "/approval"
    answer = await api.http.put(
        path,
        json={"state": state, "reason": "a wrong cap"},
        headers=tokens.headers("operator"),
    )
    assert answer.status_code == status, answer.text
    await work_off(api)
    return answer.json()


async def work_off(api):
    """What the job of matches to backfill does once everything was released."""
    went_on = True
    while went_on:
        async with api.sessions.begin() as session:
            went_on = await fanout_approval.fan_out_waiting(session)


async def kinds(api, subject_id):
    async with api.sessions() as session:
        rows = await session.scalars(
            select(alert.c.kind).where(alert.c.subject_id == subject_id).order_by(alert.c.seq)
        )
        return list(rows)


async def test_what_is_held_is_alerted_to_nobody_and_on_release_to_everybody(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await decide(api, tokens, "held", call.call_id)

    await consume(api, handlers.follow_call, opened(call))
    before = await kinds(api, call.call_id)
    released = await decide(api, tokens, "released", call.call_id)

    assert (before, await kinds(api, call.call_id)) == ([], ["opened"])
    assert (released["state"], released["alerted"]) == ("released", 1)


async def test_a_release_alerts_of_the_newest_content_only(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await decide(api, tokens, "held")

    await consume(api, handlers.follow_call, opened(call), extended(call))
    await decide(api, tokens, "released")

    async with api.sessions() as session:
        rows = await session.execute(select(alert.c.kind, alert.c.subject_version))
        assert [tuple(row) for row in rows] == [("opened", 3)]


async def test_a_call_cancelled_while_it_is_held_is_never_alerted(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await decide(api, tokens, "held", call.call_id)

    await consume(api, handlers.follow_call, opened(call), cancelled(call))
    await decide(api, tokens, "released", call.call_id)

    assert await kinds(api, call.call_id) == []


async def test_those_who_came_during_a_approval_are_alerted_on_release(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    held = await decide(api, tokens, "held", call.call_id)

    await registered(api, a_record())
    before = await kinds(api, call.call_id)
    await decide(api, tokens, "released", call.call_id)

    assert (held["alerted"], before) == (1, ["opened"])
    assert await kinds(api, call.call_id) == ["opened", "opened"]


async def test_a_correction_waits_for_the_release_too(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    await decide(api, tokens, "held", call.call_id)

    await consume(api, handlers.follow_call, extended(call))
    before = await kinds(api, call.call_id)
    await decide(api, tokens, "released", call.call_id)

    assert before == ["opened"]
    assert await kinds(api, call.call_id) == ["opened", "deadline_extended"]


async def test_what_is_stopped_stays_stopped(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await decide(api, tokens, "stopped", call.call_id)

    await consume(api, handlers.follow_call, opened(call))
    refused = await decide(api, tokens, "released", call.call_id, status=409)

    assert refused["code"] == "illegal-move"
    assert await kinds(api, call.call_id) == []


async def test_whoever_was_alerted_before_a_stop_receives_the_rest_and_nobody_new_does(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    await decide(api, tokens, "stopped", call.call_id)

    await registered(api, a_record())
    moved = extended(call)
    await consume(api, handlers.follow_call, moved, cancelled(moved.call))

    assert await kinds(api, call.call_id) == ["opened", "deadline_extended", "cancelled"]


@pytest.mark.parametrize("own", ["held", "stopped"])
async def test_a_release_of_everything_alerts_nobody_of_what_is_kept_back_by_itself(
    api, tokens, own
):
    call = a_call()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    await decide(api, tokens, own, call.call_id)
    await registered(api, a_record())

    await decide(api, tokens, "held")
    await decide(api, tokens, "released")

    assert await kinds(api, call.call_id) == ["opened"]


async def test_a_release_of_one_alerts_nobody_while_everything_is_held(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    await decide(api, tokens, "held", call.call_id)
    await registered(api, a_record())
    await decide(api, tokens, "held")

    await decide(api, tokens, "released", call.call_id)
    while_held = await kinds(api, call.call_id)
    await decide(api, tokens, "released")

    assert (while_held, await kinds(api, call.call_id)) == (["opened"], ["opened", "opened"])


async def test_after_a_release_of_everything_each_subject_is_alerted_in_a_transaction_of_its_own(
    api, tokens
):
    calls = [a_call() for _ in range(3)]
    await registered(api, a_record())
    await decide(api, tokens, "held")
    await consume(api, handlers.follow_call, *(opened(call) for call in calls))
    await api.http.put(
        "/approval", json={"state": "released", "reason": "r"}, headers=tokens.headers("operator")
    )

    alerted = []
    for _ in calls:
        async with api.sessions.begin() as session:
            assert await fanout_approval.fan_out_waiting(session)
        alerted.append(sum([len(await kinds(api, call.call_id)) for call in calls]))

    async with api.sessions.begin() as session:
        assert not await fanout_approval.fan_out_waiting(session)
    assert alerted == [1, 2, 3]


async def test_what_notifications_held_a_person_can_take_over(api, tokens):
    call = a_call(confirmed_audience=1)
    await registered(api, *(a_record() for _ in range(20)))
    await consume(api, handlers.follow_call, opened(call))

    taken = await decide(api, tokens, "held", call.call_id)
    await consume(api, handlers.follow_call, updated(call, confirmed_audience=20))

    assert (taken["state"], await kinds(api, call.call_id)) == ("held", [])
    again = await decide(api, tokens, "held", call.call_id, status=409)
    assert again["detail"] == "the fan-out is held: it can't become held"


async def test_what_is_held_is_listed_with_its_title_until_it_is_released(api, tokens):
    call, not_received = a_call(), uuid.uuid4()
    await registered(api, a_record())
    await consume(api, handlers.follow_call, opened(call))
    for subject_id in (call.call_id, not_received):
        await decide(api, tokens, "held", subject_id)

    async def listed():
        answer = await api.http.get("/approvals", headers=tokens.headers("delegate"))
        return [(h["subject_id"], h["title"], h["alerted"], h["by"]) for h in answer.json()]

    before = await listed()
    await decide(api, tokens, "released", not_received)

    assert before == [
        (str(not_received), None, 0, "operator"),
        (str(call.call_id), "Appel à projets", 1, "operator"),
    ]
    assert await listed() == before[1:]


async def test_a_release_of_nothing_is_refused(api, tokens):
    refused = await decide(api, tokens, "released", uuid.uuid4(), status=409)

    assert refused["detail"] == "nothing is held"


async def test_who_held_and_why_is_kept(api, tokens):
    call_id = uuid.uuid4()

    await decide(api, tokens, "held", call_id)

    async with api.sessions() as session:
        row = (await session.scalars(select(AuditRow).where(AuditRow.subject_id == call_id))).one()
        assert (row.action, row.after["reason"]) == ("fan-out held", "a wrong cap")


@pytest.mark.parametrize("role", ["delegate", "partner", "cooperative", "holder", "reviewer"])
async def test_only_operators_hold(api, tokens, role):
    answer = await api.http.put(
        "/approval", json={"state": "held", "reason": "x"}, headers=tokens.headers(role)
    )

    assert answer.status_code == 403


async def preview(api, tokens, *tracks, role="delegate", **parameters):
    return await api.http.post(
        "/previews",
        json={"tracks": tracks},
        params=parameters,
        headers=tokens.headers(role, partner="indh"),
    )


async def test_a_preview_counts_whom_a_call_would_reach_and_writes_nothing(api, tokens):
    await registered(
        api,
        a_record(),
        a_record(members_youth=None),
        a_record(region="MA-01", province="MA-HOC", sector="CRAFTS"),
        a_record(legal_status="struck_off"),
    )
    tracks = [
        {"provinces": ["MA-TIZ"], "min_share_youth": {"percent": 10}},
        {"regions": ["MA-01"]},
    ]

    seen = (await preview(api, tokens, *tracks)).json()

    assert (seen["matched"], seen["eligible"], seen["unknown"]) == (3, 2, 1)
    assert {g["code"]: (g["eligible"], g["unknown"]) for g in seen["by_region"]} == {
        "MA-09": (1, 1),
        "MA-01": (1, 0),
    }
    assert {g["code"]: g["eligible"] for g in seen["by_sector"]} == {"ARGAN": 1, "CRAFTS": 1}
    async with api.sessions() as session:
        assert (await session.scalars(select(alert.c.seq))).all() == []


async def test_a_preview_is_labelled_in_the_language_asked_for(api, tokens):
    await registered(api, a_record(), a_record(region="MA-99", sector="NEW"))

    seen = (await preview(api, tokens, {}, language="ar")).json()

    labels = {group["code"]: group["label"] for group in seen["by_region"] + seen["by_sector"]}
    assert labels == {"MA-09": "سوس-ماسة", "MA-99": "MA-99", "ARGAN": "زيت أركان", "NEW": "NEW"}


async def test_a_preview_agrees_with_the_fan_out_that_follows(api, tokens):
    await registered(api, *(a_record(members_youth=n % 4 or None) for n in range(12)))
    call = a_call()
    tracks = [track.criteria.model_dump(mode="json") for track in call.tracks]
    seen = (await preview(api, tokens, *tracks)).json()

    await consume(api, handlers.follow_call, opened(call))

    assert seen["matched"] == len(await kinds(api, call.call_id))


@pytest.mark.parametrize(
    ("track", "field", "says"),
    [
        ({"provinces": ["MA-TIZZ"]}, "tracks.0.provinces.0", "MA-TIZ"),
        ({"communes": ["09.999.01.01"]}, "tracks.0.communes.0", "HCP"),
        ({"min_share_woman": {"percent": 30}}, "tracks.0.min_share_woman", "not permitted"),
        (
            {"min_share_women": {"percent": 30, "stirct": True}},
            "tracks.0.min_share_women.stirct",
            "not permitted",
        ),
    ],
)
async def test_a_wrong_preview_names_the_field(api, tokens, track, field, says):
    answer = await preview(api, tokens, track)

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 11, 24, 23, 0, tzinfo=UTC), date(2026, 11, 25)),
        # In Ramadan the clock is put back by an hour.
        (datetime(2026, 2, 24, 23, 30, tzinfo=UTC), date(2026, 2, 24)),
    ],
)
def test_a_preview_counts_ages_on_the_day_on_which_a_call_would_open(at, day):
    assert day_in_morocco(at) == day


@pytest.mark.parametrize("role", ["cooperative", "holder", "juror", "reviewer"])
async def test_previews_are_for_those_who_publish(api, tokens, role):
    assert (await preview(api, tokens, {}, role=role)).status_code == 403


async def test_the_status_names_what_is_held(api, tokens):
    call = a_call()
    await decide(api, tokens, "held", call.call_id)
    await decide(api, tokens, "held")
    api.runtime.counts, api.runtime.names = COUNTS, NAMES

    status = (await api.http.get("/status", headers=tokens.headers("operator"))).json()

    assert status["counts"]["held"] == 2
    assert sorted(status["names"]["held"]) == sorted([str(call.call_id), "everything"])
