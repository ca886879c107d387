"""A request of a person has no effect before somebody has looked at what it would concern."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from registry.privacy import models
from registry.privacy.domain import found_records
from registry.privacy.usecases.proposals import expire_old_proposals
from shared.contracts.registry import (
    CooperativeChanged,
    PersonAccessRequested,
    PersonErasureRequested,
)

from ..builders import a_row, audited_actions
from .client import CONTACT, EMAIL, PHONE, Json, PrivacyClient, answered, shared_of

LANDLINE = "+212522000001"
STRANGER = {"president": "Présidence d'essai 9", "phone": LANDLINE, "email": "s@taawon.example"}


@pytest.fixture
async def neighbours(privacy: PrivacyClient) -> dict[str, str]:
    """Two cooperatives with one landline, and the account of each; ids by whose they are."""
    return {
        "theirs": await privacy.cooperative("1", **(CONTACT | {"phone": LANDLINE})),
        "their account": await privacy.account(EMAIL),
        "stranger": await privacy.cooperative("2", **STRANGER),
        "account of the stranger": await privacy.account(STRANGER["email"]),
    }


async def test_a_proposal_lists_what_it_would_concern_and_changes_nothing(
    privacy: PrivacyClient, neighbours: dict[str, str]
) -> None:
    before = await privacy.contact(neighbours["theirs"])

    proposed = await privacy.proposes("erasure", phone=LANDLINE)

    assert (proposed["state"], proposed["cooperative_ids"]) == ("proposed", [])
    assert {each["id"]: (each["kind"], each["holds"]) for each in proposed["records"]} == {
        neighbours["theirs"]: ("cooperative", ["president", "phone", "email"]),
        neighbours["stranger"]: ("cooperative", ["president", "phone", "email"]),
        neighbours["their account"]: ("account", ["email"]),
        neighbours["account of the stranger"]: ("account", ["email"]),
    }
    assert await privacy.contact(neighbours["theirs"]) == before
    assert await privacy.signs_in() == 200
    for event in (CooperativeChanged, PersonErasureRequested, PersonAccessRequested):
        assert await privacy.events(event.topic) == []


@pytest.mark.parametrize("kind", ["access", "erasure"])
async def test_the_records_of_a_stranger_with_the_same_landline_are_left(
    privacy: PrivacyClient, neighbours: dict[str, str], kind: str
) -> None:
    theirs = [neighbours["theirs"], neighbours["their account"]]
    strangers = [neighbours["stranger"], neighbours["account of the stranger"]]
    proposed = await privacy.proposes(kind, phone=LANDLINE)

    silent = await privacy.confirms(proposed)
    half = await privacy.confirms(proposed, include=theirs)
    done = await privacy.confirms(proposed, include=theirs, leave=strangers)

    assert set(shared_of(proposed)) == {*theirs, *strangers}
    assert [(each.status_code, each.json()["code"]) for each in (silent, half)] == [
        (422, "undecided")
    ] * 2
    assert all(each in silent.json()["detail"] for each in (*theirs, *strangers))
    assert done.status_code == 200, done.text
    assert (done.json()["cooperative_ids"], done.json()["account_ids"]) == (theirs[:1], theirs[1:])
    assert (await privacy.contact(neighbours["stranger"]))[1] == STRANGER
    assert await privacy.signs_in(STRANGER["email"]) == 200
    topic = PersonAccessRequested if kind == "access" else PersonErasureRequested
    (event,) = await privacy.events(topic.topic)
    assert [each["cooperative_id"] for each in event["cooperatives"]] == theirs[:1]
    assert event["account_ids"] == theirs[1:]


async def test_a_report_shows_nothing_of_a_stranger(
    privacy: PrivacyClient, neighbours: dict[str, str]
) -> None:
    theirs = [neighbours["theirs"], neighbours["their account"]]
    proposed = await privacy.proposes("access", phone=LANDLINE)
    strangers = [each for each in shared_of(proposed) if each not in theirs]

    await privacy.confirms(proposed, include=theirs, leave=strangers)
    held = await answered(privacy, proposed["request_id"], PersonAccessRequested)

    assert (held["counts"]["cooperative"], held["counts"]["account"]) == (1, 1)


async def test_what_somebody_keeps_is_not_remembered_as_erased(privacy: PrivacyClient) -> None:
    court = {"court": "TPI Oubli", "ice": "", "phone": LANDLINE}
    theirs = a_row(**court, local_register_no="1")
    stranger = a_row(**court, local_register_no="2", email=STRANGER["email"])
    await privacy.imports(theirs, stranger)
    proposed = await privacy.proposes("erasure", phone=LANDLINE, email=EMAIL)

    done = await privacy.confirms(proposed, leave=shared_of(proposed))
    report = await privacy.imports(stranger | {"members_total": "30"})

    assert done.status_code == 200, done.text
    assert len(done.json()["cooperative_ids"]) == 1
    assert (report.rows_changed, report.problems_total) == (1, 0)


@pytest.mark.parametrize(
    "decided",
    [
        {"include": ["0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11"]},
        {"leave": ["0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11"]},
    ],
)
async def test_only_records_of_the_proposal_are_chosen(
    privacy: PrivacyClient, decided: dict[str, list[str]]
) -> None:
    await privacy.cooperative("1")
    proposed = await privacy.proposes("erasure", email=EMAIL)

    answer = await privacy.confirms(proposed, **decided)

    assert (answer.status_code, answer.json()["code"]) == (422, "undecided")
    assert answer.json()["errors"][0]["field"] in decided


async def test_a_record_is_included_or_left_and_one_that_nobody_shares_may_be_left(
    privacy: PrivacyClient,
) -> None:
    first = await privacy.cooperative("1")
    second = await privacy.cooperative("2", phone="+212600000005")
    proposed = await privacy.proposes("erasure", email=EMAIL, phone="+212600000005")

    both = await privacy.confirms(proposed, include=[first], leave=[first])
    left = await privacy.confirms(proposed, leave=[second])

    assert both.status_code == 422
    assert left.json()["cooperative_ids"] == [first]
    assert (await privacy.contact(second))[0] == 1


async def test_a_confirmation_is_of_the_version_that_was_read_and_is_made_once(
    privacy: PrivacyClient,
) -> None:
    await privacy.cooperative("1")
    proposed = await privacy.proposes("erasure", email=EMAIL)

    outdated = await privacy.confirms(proposed | {"version": 7})
    done = await privacy.confirms(proposed)
    again = await privacy.confirms(done.json())

    codes = [(each.status_code, each.json().get("code")) for each in (outdated, done, again)]
    assert codes == [(409, "changed-meanwhile"), (200, None), (409, "illegal-move")]
    assert done.headers["etag"] == f'"{done.json()["version"]}"' == '"2"'
    assert len(await privacy.events(PersonErasureRequested.topic)) == 1


async def drops(privacy: PrivacyClient, proposed: Json) -> int:
    headers = privacy.headers | {"If-Match": f'"{proposed["version"]}"'}
    path = f"/persons/requests/{proposed['request_id']}"
    return (await privacy.api.http.delete(path, headers=headers)).status_code


async def sealed_proposals(privacy: PrivacyClient) -> int:
    async with privacy.api.sessions() as session:
        column = models.person_request.c.proposal_sealed
        return await session.scalar(select(func.count(column))) or 0


async def test_a_dropped_proposal_has_no_effect_and_names_nobody(privacy: PrivacyClient) -> None:
    cooperative_id = await privacy.cooperative("1")
    proposed = await privacy.proposes("erasure", email=EMAIL)

    outdated = await drops(privacy, proposed | {"version": 7})
    waiting = await sealed_proposals(privacy)
    dropped = await drops(privacy, proposed)
    late = await privacy.confirms(proposed | {"version": 2})

    assert (outdated, waiting, dropped) == (409, 1, 204)
    assert (late.status_code, late.json()["code"]) == (409, "illegal-move")
    assert await sealed_proposals(privacy) == 0
    assert (await privacy.contact(cooperative_id))[0] == 1
    open_ones = (await privacy.get("/persons/requests")).json()
    assert proposed["request_id"] not in {each["request_id"] for each in open_ones}
    actions = await audited_actions(privacy.api, privacy.headers, proposed["request_id"])
    assert actions == ["erasure of a person dropped", "erasure of a person proposed"]


async def test_a_confirmed_request_is_not_dropped(privacy: PrivacyClient) -> None:
    request = await privacy.asks("access", email=EMAIL)

    assert await drops(privacy, request) == 409


async def proposed_long_ago(privacy: PrivacyClient, proposed: Json) -> None:
    table = models.person_request
    this = update(table).where(table.c.id == proposed["request_id"])
    ago = table.c.proposed_at - timedelta(hours=24)
    async with privacy.api.sessions.begin() as session:
        await session.execute(this.values(proposed_at=ago))


async def test_a_proposal_that_nobody_confirms_expires(privacy: PrivacyClient) -> None:
    old, new = [await privacy.proposes("erasure", email=EMAIL) for _ in range(2)]
    await proposed_long_ago(privacy, old)

    late = await privacy.confirms(old)
    async with privacy.api.sessions.begin() as session:
        await expire_old_proposals(session)

    assert (late.status_code, late.json()["code"]) == (409, "proposal-expired")
    shown = [await state_of(privacy, each) for each in (old, new)]
    assert shown == ["expired", "proposed"]
    assert await sealed_proposals(privacy) == 1


async def state_of(privacy: PrivacyClient, proposed: Json) -> Any:
    return (await privacy.get(f"/persons/requests/{proposed['request_id']}")).json()["state"]


async def test_a_proposal_is_not_confirmed_for_records_that_nobody_has_seen(
    privacy: PrivacyClient,
) -> None:
    await privacy.cooperative("1")
    proposed = await privacy.proposes("erasure", email=EMAIL)
    await privacy.cooperative("2", email=EMAIL, phone="+212600000005")

    answer = await privacy.confirms(proposed)

    assert (answer.status_code, answer.json()["code"]) == (409, "found-other-records")
    assert await privacy.events(PersonErasureRequested.topic) == []


async def test_a_change_of_somebody_else_does_not_disturb_a_proposal(
    privacy: PrivacyClient,
) -> None:
    theirs = await privacy.cooperative("1")
    proposed = await privacy.proposes("erasure", email=EMAIL)
    await privacy.cooperative("2", email="other@taawon.example", phone=PHONE)
    path = f"/cooperatives/{theirs}"
    await privacy.api.http.patch(path, json={"members_total": 30}, headers=privacy.headers)

    answer = await privacy.confirms(proposed)

    assert answer.status_code == 200, answer.text
    assert await privacy.contact(theirs) == (3, {})


@pytest.mark.parametrize("how", [{"email": EMAIL}, {"phone": PHONE}])
async def test_an_erasure_ends_other_proposals_about_the_person(
    privacy: PrivacyClient, how: Json
) -> None:
    await privacy.cooperative("1")
    theirs = await privacy.proposes("access", **how)
    others = await privacy.proposes("access", email="other@taawon.example")

    await privacy.asks("erasure", email=EMAIL)

    assert [await state_of(privacy, each) for each in (theirs, others)] == ["expired", "proposed"]


async def test_the_days_of_the_law_count_from_the_proposal(privacy: PrivacyClient) -> None:
    proposed = await privacy.proposes("access", email=EMAIL)

    done = (await privacy.confirms(proposed)).json()

    assert done["due_on"] == proposed["due_on"]
    assert (proposed["opened_at"], done["expires_at"]) == (None, None)
    assert done["opened_at"] >= done["proposed_at"] == proposed["proposed_at"]


async def test_what_leads_to_more_records_than_a_person_has_is_refused(
    privacy: PrivacyClient, neighbours: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_records, "MOST_RECORDS", 1)
    body = {"kind": "access", "ground": "person", "reference": "2026/114", "phone": LANDLINE}

    refused = await privacy.post("/persons/requests", body)
    named = await privacy.proposes("access", email=EMAIL)

    assert (refused.status_code, refused.json()["code"]) == (422, "found-too-many")
    assert "more than 1 records" in refused.json()["detail"]
    assert len(named["records"]) == 2
