"""The steps of a call over HTTP: status codes, problems, events in the outbox, audit rows."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy import select

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from funding.app import create_app
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow, OutboxRow

from .api_steps import LATER, Json, People, drafted, events, fields_of, opened
from .builders import a_payload, a_track


async def test_an_opened_call_leaves_one_event_with_the_whole_call(api: Api, people: People):
    call = await opened(api, people)

    [(topic, event)] = await events(api)

    assert topic == "funding.call.opened.v1"
    assert (event["aggregate_version"], event["call"]["version"], call["version"]) == (2, 2, 2)
    assert event["call"]["state"] == "open"
    assert event["call"]["tracks"][0]["criteria"]["provinces"] == ["MA-AGD"]
    assert event["call"]["reference_on"] == call["reference_on"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({}, ["registered"]),
        ({"legal_statuses": []}, []),
        ({"legal_statuses": ["struck_off"]}, ["struck_off"]),
    ],
)
async def test_the_legal_statuses_that_are_meant_are_stored_shown_and_published(
    api: Api, people: People, written: Json, meant: list[str]
):
    call = await opened(api, people, tracks=[a_track(**written)])

    [(_, event)] = await events(api)

    shown = [content["tracks"][0]["criteria"] for content in (call, event["call"])]
    assert [criteria["legal_statuses"] for criteria in shown] == [meant, meant]


async def test_a_confirmed_audience_is_audited_and_stays_with_every_event(api: Api, people: People):
    call = await drafted(api, people)
    path = f"/calls/{call['call_id']}"

    answer = await api.http.post(
        f"{path}/open", json={"confirmed_audience": 41}, headers=people.funder
    )
    await api.http.post(f"{path}/cancel", json={"reason": "budget"}, headers=people.funder)

    assert answer.status_code == 200, answer.text
    assert [event["call"]["confirmed_audience"] for _, event in await events(api)] == [41, 41]
    async with api.sessions() as session:
        row = await session.scalar(select(AuditRow).where(AuditRow.action == "call opened"))
    assert (row.before["confirmed_audience"], row.after["confirmed_audience"]) == (None, 41)


@pytest.mark.parametrize("number", [-1, 10_000_001, "many", 1.5])
async def test_a_confirmed_audience_that_is_no_plausible_number_is_refused(
    api: Api, people: People, number: Any
):
    call = await drafted(api, people)

    answer = await api.http.post(
        f"/calls/{call['call_id']}/open", json={"confirmed_audience": number}, headers=people.funder
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["confirmed_audience"])


async def test_opening_says_what_was_accepted_and_where_its_alerting_is_read(
    api: Api, people: People
):
    call = await drafted(api, people)
    body = {"confirmed_audience": 5, "partners_at_once": True}

    answer = await api.http.post(f"/calls/{call['call_id']}/open", json=body, headers=people.funder)

    said = answer.json()
    assert (said["confirmed_audience"], said["partners_at_once"]) == (5, True)
    assert said["alerting"] == f"/subjects/{call['call_id']}/totals"
    ((_, event),) = await events(api)
    assert event["call"]["partners_at_once"] is True
    assert event["call"]["funder_slug"] == call["funder_slug"]
    read = await api.http.get(f"/calls/{call['call_id']}", headers=people.funder)
    assert "confirmed_audience" not in read.json()


async def test_a_draft_is_rewritten_deadline_included(api: Api, people: People):
    call = await drafted(api, people)
    body = a_payload(edition="2027", deadline=None)

    answer = await api.http.put(f"/calls/{call['call_id']}", json=body, headers=people.funder)

    assert (answer.json()["edition"], answer.json()["deadline"]) == ("2027", None)
    assert (answer.json()["version"], await events(api)) == (2, [])


async def test_updating_an_open_call_says_what_changed(api: Api, people: People):
    call = await opened(api, people)
    body = a_payload(tracks=[a_track(provinces=["MA-AGD", "MA-TIZ"])])

    answer = await api.http.put(f"/calls/{call['call_id']}", json=body, headers=people.funder)

    topic, event = (await events(api))[-1]
    assert (answer.status_code, topic) == (200, "funding.call.updated.v1")
    assert (event["changed"], event["call"]["version"]) == (["tracks"], 3)


async def test_an_update_without_a_change_publishes_nothing(api: Api, people: People):
    call = await opened(api, people)

    answer = await api.http.put(
        f"/calls/{call['call_id']}", json=a_payload(), headers=people.funder
    )

    assert answer.json()["version"] == 2
    assert len(await events(api)) == 1


@pytest.mark.parametrize(
    ("step", "body"), [("extend", {"deadline": LATER}), ("cancel", {}), ("cancel", {"reason": " "})]
)
async def test_extending_and_cancelling_need_a_reason(
    api: Api, people: People, step: str, body: Json
):
    call = await opened(api, people)

    answer = await api.http.post(
        f"/calls/{call['call_id']}/{step}", json=body, headers=people.funder
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["reason"])


async def test_closing_and_cancelling_are_published_in_their_order(api: Api, people: People):
    path = f"/calls/{(await opened(api, people))['call_id']}"

    await api.http.post(f"{path}/close", headers=people.funder)
    await api.http.post(f"{path}/cancel", json={"reason": "vice"}, headers=people.funder)

    states = [
        (topic, event["call"]["state"], event["call"]["version"])
        for topic, event in await events(api)
    ]
    assert states == [
        ("funding.call.opened.v1", "open", 2),
        ("funding.call.closed.v1", "closed", 3),
        ("funding.call.cancelled.v1", "cancelled", 4),
    ]


async def test_cancelling_a_draft_publishes_nothing(api: Api, people: People):
    call = await drafted(api, people)

    answer = await api.http.post(
        f"/calls/{call['call_id']}/cancel", json={"reason": "doublon"}, headers=people.funder
    )

    assert (answer.json()["state"], await events(api)) == ("cancelled", [])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"tracks": [a_track(provinces=["MA-AGD", "MA-TZ"])]}, "tracks.0.criteria.provinces.1"),
        ({"tracks": [a_track(), a_track(sectors=["ARGANE"])]}, "tracks.1.criteria.sectors.0"),
        ({"tracks": [a_track(communes=["Tiznit"])]}, "tracks.0.criteria.communes.0"),
        ({"tracks": [a_track(min_share_woman={})]}, "tracks.0.criteria.min_share_woman"),
        (
            {"tracks": [a_track(min_share_women={"percent": 101})]},
            "tracks.0.criteria.min_share_women.percent",
        ),
        ({"tracks": []}, "tracks"),
        ({"tracks": [a_track()] * 17}, "tracks"),
        ({"tracks": [{**a_track(), "max_grant": 5}]}, "tracks.0.max_grant"),
        ({"funder_slug": "INDH Agadir"}, "funder_slug"),
        ({"summary": {"fr": "x" * 8001, "ar": "ملخص"}}, "summary.fr"),
        ({"reference_on": "0001-01-01"}, "reference_on"),
        ({"funder": "INDH\0"}, "funder"),
    ],
)
async def test_a_malformed_call_is_refused_naming_the_field(
    api: Api, people: People, wrong: Json, field: str
):
    answer = await api.http.post("/calls", json=a_payload(**wrong), headers=people.operator)

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_the_nearest_code_is_suggested_for_a_misspelt_one(api: Api, people: People):
    body = a_payload(tracks=[a_track(provinces=["MA-TIZNIT"])])

    answer = await api.http.post("/calls", json=body, headers=people.funder)

    assert "did you mean MA-TIZ" in answer.json()["errors"][0]["message"]


async def test_an_oversized_body_is_refused(api: Api, people: People):
    body = a_payload(source="x" * 300_000)

    answer = await api.http.post("/calls", json=body, headers=people.funder)

    assert answer.status_code == 413


async def test_the_same_key_makes_one_call(api: Api, people: People):
    headers = {**people.funder, "Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/calls", json=a_payload(), headers=headers)
    second = await api.http.post("/calls", json=a_payload(), headers=headers)
    listed = await api.http.get("/calls", headers=people.funder)

    assert (first.status_code, second.status_code) == (201, 201)
    assert [call["call_id"] for call in listed.json()["items"]] == [second.json()["call_id"]]


async def test_a_partner_prepares_calls_of_its_own_institution_only(api: Api, people: People):
    answer = await api.http.post("/calls", json=a_payload(), headers=people.rival)

    assert (answer.status_code, answer.json()["code"]) == (403, "not-your-institution")
    assert fields_of(answer) == ["funder_slug"]


async def test_a_call_of_a_partner_is_of_its_institution_if_none_is_named(api: Api, people: People):
    call = await drafted(api, people, funder_slug=None)

    assert call["funder_slug"] == "indh-agadir"


async def test_a_partner_without_an_institution_prepares_nothing(api: Api, tokens: Tokens):
    answer = await api.http.post(
        "/calls", json=a_payload(funder_slug=None), headers=tokens.headers("partner")
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "not-your-institution")


async def test_a_call_does_not_change_its_institution(api: Api, people: People):
    call = await drafted(api, people)

    answer = await api.http.put(
        f"/calls/{call['call_id']}",
        json=a_payload(funder_slug="indh-tiznit"),
        headers=people.operator,
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["funder_slug"])


async def test_a_step_decided_on_an_older_version_is_a_conflict(api: Api, people: People):
    call = await opened(api, people)
    headers = {**people.funder, "If-Match": '"1"'}

    answer = await api.http.post(f"/calls/{call['call_id']}/close", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")


async def test_a_step_that_says_no_version_changes_nothing(api: Api, people: People):
    path = f"/calls/{(await opened(api, people))['call_id']}"
    request = api.http.build_request("POST", f"{path}/close", headers=people.funder)
    del request.headers["If-Match"]

    answer = await api.http.send(request)
    call = await api.http.get(path, headers=people.funder)

    assert (answer.status_code, answer.json()["code"]) == (428, "version-required")
    assert call.json()["state"] == "open"
    closed = {**people.funder, "If-Match": call.headers.get("ETag", "")}
    assert (await api.http.post(f"{path}/close", headers=closed)).status_code == 200


async def test_an_audit_row_holds_what_differs_and_who_did_it(api: Api, people: People):
    call = await opened(api, people, reference_on="2027-01-01")

    async with api.sessions() as session:
        rows = (await session.scalars(select(AuditRow).order_by(AuditRow.id))).all()

    assert [row.action for row in rows] == ["call drafted", "call opened"]
    assert (rows[1].before, rows[1].after) == (
        {"state": "draft", "version": 1},
        {"state": "open", "version": 2},
    )
    assert rows[1].subject_id == uuid.UUID(call["call_id"])


async def test_of_two_steps_at_once_one_is_refused_and_one_event_is_published(
    databases: pytest_plugin.TestDatabases, tokens: Tokens, people: People
):
    url = databases.fresh("funding")
    engine = make_engine(url)
    async with pytest_plugin.api(create_app, "funding", url, tokens) as api:
        api.runtime.sessions = make_sessions(engine)
        path = f"/calls/{(await drafted(api, people))['call_id']}/open"

        answers = await asyncio.gather(
            api.http.post(path, headers=people.funder),
            api.http.post(path, headers=people.operator),
        )

        async with api.runtime.sessions() as session:
            rows = (await session.scalars(select(OutboxRow))).all()
    await engine.dispose()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(rows) == 1


async def test_a_draft_is_deleted_by_its_funder_and_publishes_nothing(api: Api, people: People):
    call = await drafted(api, people)
    path = f"/calls/{call['call_id']}"

    deleted = await api.http.delete(path, headers={**people.funder, "If-Match": '"1"'})
    gone = await api.http.get(path, headers=people.funder)

    assert (deleted.status_code, deleted.content, gone.status_code) == (204, b"", 404)
    assert await events(api) == []


async def test_a_draft_that_somebody_changed_meanwhile_is_not_deleted(api: Api, people: People):
    call = await drafted(api, people)
    path = f"/calls/{call['call_id']}"
    await api.http.put(path, json=a_payload(edition="2027"), headers=people.funder)

    answer = await api.http.delete(path, headers={**people.funder, "If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")


async def test_an_open_call_is_cancelled_and_not_deleted(api: Api, people: People):
    call = await opened(api, people)

    answer = await api.http.delete(f"/calls/{call['call_id']}", headers=people.funder)

    assert (answer.status_code, answer.json()["code"]) == (409, "not-a-draft")
    assert "cancel it instead" in answer.json()["detail"]
