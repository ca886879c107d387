"""Holding a fan-out, releasing it, stopping it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from itertools import product

import pytest
from sqlalchemy import select

from notifications.app import COUNTS, NAMES
from notifications.fanout.domain.fanout_approval import (
    EVERYTHING,
    MOVES,
    ApprovalState,
    FanoutApproval,
    StopsOneOnly,
)
from notifications.fanout.models import alert
from shared.errors import IllegalMove
from shared.kernel.data.tables import AuditRow

from ..builders import a_call, a_record, cancelled, extended, opened, updated
from ..commands import decide, fan_out_next, follow, kinds, register

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
def test_every_move_of_an_approval_not_in_the_table_is_refused(start, target):
    approval = an_approval(start)

    with pytest.raises(IllegalMove):
        approval.decide(target, reason="x", by=uuid.uuid4(), at=NOW)

    assert (approval.state, approval.reason) == (start, "r")


def test_every_decision_is_a_version_of_its_own():
    approval = an_approval(ApprovalState.HELD)

    approval.decide(ApprovalState.RELEASED, reason="x", by=uuid.uuid4(), at=NOW)
    approval.give_reason("y", at=NOW)

    assert (approval.version, approval.reason) == (3, "y")


async def test_a_decision_on_another_version_is_refused_and_names_the_present_one(api, tokens):
    operator, path = tokens.headers("operator"), f"/subjects/{uuid.uuid4()}/approval"
    untouched = await api.http.get(path, headers=operator)

    def decision(state: str, version: str):
        body = {"state": state, "reason": "a wrong cap"}
        return api.http.put(path, json=body, headers={**operator, "If-Match": version})

    held = await decision("held", untouched.headers["etag"])
    late = await decision("stopped", untouched.headers["etag"])
    released = await decision("released", held.headers["etag"])

    assert (untouched.status_code, untouched.json()["state"]) == (200, None)
    assert [untouched.headers["etag"], held.headers["etag"]] == ['"0"', '"1"']
    assert (late.status_code, late.json()["code"]) == (409, "changed-meanwhile")
    assert "version 1" in late.json()["detail"]
    assert (released.status_code, released.json()["version"]) == (200, 2)


async def test_the_approval_of_everything_has_a_version_too(api, tokens):
    operator = tokens.headers("operator")
    await decide(api, tokens, "held")

    seen = await api.http.get("/approval", headers=operator)
    listed = await api.http.get("/approvals", headers=operator)

    assert (seen.headers["etag"], seen.json()["state"]) == ('"1"', "held")
    assert [each["version"] for each in listed.json()] == [1]


def test_everything_can_be_held_but_not_stopped_for_good():
    with pytest.raises(StopsOneOnly):
        an_approval(ApprovalState.HELD, EVERYTHING).decide(
            ApprovalState.STOPPED, reason="x", by=uuid.uuid4(), at=NOW
        )


@pytest.mark.parametrize("subject_id", [uuid.UUID(int=0), EVERYTHING])
async def test_no_id_of_a_subject_holds_everything(api, tokens, subject_id):
    await register(api, a_record())

    answer = await api.http.put(
        f"/subjects/{subject_id}/approval",
        json={"state": "held", "reason": "x"},
        headers=tokens.headers("operator"),
    )
    await follow(api, opened(call := a_call()))

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "subject_id")
    assert await kinds(api, call.call_id) == ["opened"]


async def test_decisions_about_everything_are_in_the_audit_under_an_id_of_their_own(api, tokens):
    made = await decide(api, tokens, "held")

    audit = await api.http.get(f"/audit/{made['record_id']}", headers=tokens.headers("operator"))

    assert made["subject_id"] is None
    assert [each["action"] for each in audit.json()["items"]] == ["fan-out held"]


async def test_nobody_is_alerted_while_it_is_held_and_everybody_on_release(api, tokens):
    call = a_call()
    await register(api, a_record())
    await decide(api, tokens, "held", call.call_id)

    await follow(api, opened(call))
    before = await kinds(api, call.call_id)
    released = await decide(api, tokens, "released", call.call_id)

    assert (before, await kinds(api, call.call_id)) == ([], ["opened"])
    assert (released["state"], released["alerted"]) == ("released", 1)


async def test_a_release_alerts_of_the_newest_content_only(api, tokens):
    call = a_call()
    await register(api, a_record())
    await decide(api, tokens, "held")

    await follow(api, opened(call), extended(call))
    await decide(api, tokens, "released")

    async with api.sessions() as session:
        rows = await session.execute(select(alert.c.kind, alert.c.subject_version))
        assert [tuple(row) for row in rows] == [("opened", 3)]


async def test_nobody_is_alerted_of_a_call_that_is_cancelled_while_it_is_held(api, tokens):
    call = a_call()
    await register(api, a_record())
    await decide(api, tokens, "held", call.call_id)

    await follow(api, opened(call), cancelled(call))
    await decide(api, tokens, "released", call.call_id)

    assert await kinds(api, call.call_id) == []


async def test_those_who_came_to_match_while_it_was_held_are_alerted_on_release(api, tokens):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))
    held = await decide(api, tokens, "held", call.call_id)

    await register(api, a_record())
    before = await kinds(api, call.call_id)
    await decide(api, tokens, "released", call.call_id)

    assert (held["alerted"], before) == (1, ["opened"])
    assert await kinds(api, call.call_id) == ["opened", "opened"]


async def test_a_correction_waits_for_the_release_too(api, tokens):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))
    await decide(api, tokens, "held", call.call_id)

    await follow(api, extended(call))
    before = await kinds(api, call.call_id)
    await decide(api, tokens, "released", call.call_id)

    assert before == ["opened"]
    assert await kinds(api, call.call_id) == ["opened", "deadline_extended"]


async def test_what_is_stopped_stays_stopped(api, tokens):
    call = a_call()
    await register(api, a_record())
    await decide(api, tokens, "stopped", call.call_id)

    await follow(api, opened(call))
    refused = await decide(api, tokens, "released", call.call_id, status=409)

    assert refused["code"] == "illegal-move"
    assert await kinds(api, call.call_id) == []


async def test_whoever_was_alerted_before_a_stop_is_corrected_and_nobody_new_is_alerted(
    api, tokens
):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))
    await decide(api, tokens, "stopped", call.call_id)

    await register(api, a_record())
    moved = extended(call)
    await follow(api, moved, cancelled(moved.call))

    assert await kinds(api, call.call_id) == ["opened", "deadline_extended", "cancelled"]


@pytest.mark.parametrize("own", ["held", "stopped"])
async def test_a_release_of_everything_alerts_nobody_of_what_is_kept_back_on_its_own(
    api, tokens, own
):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))
    await decide(api, tokens, own, call.call_id)
    await register(api, a_record())

    await decide(api, tokens, "held")
    await decide(api, tokens, "released")

    assert await kinds(api, call.call_id) == ["opened"]


async def test_a_release_of_one_alerts_nobody_while_everything_is_held(api, tokens):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))
    await decide(api, tokens, "held", call.call_id)
    await register(api, a_record())
    await decide(api, tokens, "held")

    await decide(api, tokens, "released", call.call_id)
    while_held = await kinds(api, call.call_id)
    await decide(api, tokens, "released")

    assert (while_held, await kinds(api, call.call_id)) == (["opened"], ["opened", "opened"])


async def test_after_a_release_of_everything_each_subject_has_a_transaction_of_its_own(api, tokens):
    calls = [a_call() for _ in range(3)]
    await register(api, a_record())
    await decide(api, tokens, "held")
    await follow(api, *(opened(call) for call in calls))
    await api.http.put(
        "/approval", json={"state": "released", "reason": "r"}, headers=tokens.headers("operator")
    )

    alerted = []
    for _ in calls:
        assert await fan_out_next(api)
        alerted.append(sum([len(await kinds(api, call.call_id)) for call in calls]))

    assert not await fan_out_next(api)
    assert alerted == [1, 2, 3]


async def test_what_notifications_held_a_person_can_take_over(api, tokens):
    call = a_call(confirmed_audience=1)
    await register(api, *(a_record() for _ in range(20)))
    await follow(api, opened(call))

    taken = await decide(api, tokens, "held", call.call_id)
    await follow(api, updated(call, confirmed_audience=20))

    assert (taken["state"], await kinds(api, call.call_id)) == ("held", [])
    again = await decide(api, tokens, "held", call.call_id, status=409)
    assert again["detail"] == "the fan-out is held: it can't become held"


async def test_what_is_held_is_listed_with_its_title_until_it_is_released(api, tokens):
    call, not_received = a_call(), uuid.uuid4()
    await register(api, a_record())
    await follow(api, opened(call))
    for subject_id in (call.call_id, not_received):
        await decide(api, tokens, "held", subject_id)

    async def listed():
        answer = await api.http.get("/approvals", headers=tokens.headers("delegate"))
        return [
            (each["subject_id"], each["title"], each["alerted"], each["by"])
            for each in answer.json()
        ]

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
async def test_only_operators_may_hold_everything(api, tokens, role):
    answer = await api.http.put(
        "/approval", json={"state": "held", "reason": "x"}, headers=tokens.headers(role)
    )

    assert answer.status_code == 403


async def test_the_status_names_what_is_held(api, tokens):
    call = a_call()
    await decide(api, tokens, "held", call.call_id)
    await decide(api, tokens, "held")
    api.runtime.counts, api.runtime.names = COUNTS, NAMES

    status = (await api.http.get("/status", headers=tokens.headers("operator"))).json()

    assert status["counts"]["held"] == 2
    assert sorted(status["names"]["held"]) == sorted([str(call.call_id), "everything"])
