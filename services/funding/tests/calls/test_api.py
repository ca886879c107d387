"""The HTTP API of funding: status codes, who may what, problems, events in the outbox."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from funding.app import create_app
from funding.calls import usecases
from funding.calls.models import calls
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow, OutboxRow

from .builders import a_payload, a_track

Json = dict[str, Any]
LATER = {"local": "2027-09-30T16:00", "zone": "Africa/Casablanca"}
A_MINUTE_AGO = timedelta(minutes=1)


class People:
    """Headers of callers by what they do."""

    def __init__(self, tokens: Tokens) -> None:
        self.operator = tokens.headers("operator")
        self.funder = tokens.headers("partner", partner="indh-agadir")
        self.rival = tokens.headers("partner", partner="indh-tiznit")
        self.reader = tokens.headers("cooperative")


@pytest.fixture
def people(tokens: Tokens) -> People:
    return People(tokens)


async def drafted(api: Api, people: People, **changes: Any) -> Json:
    answer = await api.http.post("/calls", json=a_payload(**changes), headers=people.funder)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def opened(api: Api, people: People, **changes: Any) -> Json:
    call = await drafted(api, people, **changes)
    answer = await api.http.post(f"/calls/{call['call_id']}/open", headers=people.funder)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def expired(api: Api, people: People) -> Json:
    """An open call whose deadline passed a minute ago, not yet stored as closed."""
    call = await opened(api, people)
    async with api.sessions.begin() as session:
        moment = datetime.now(UTC) - A_MINUTE_AGO
        await session.execute(update(calls).values(closes_at=moment))
    return call


async def events(api: Api) -> list[tuple[str, Json]]:
    async with api.sessions() as session:
        rows = (await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))).all()
    return [(row.topic, json.loads(row.body)) for row in rows]


def fields_of(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


async def test_an_opened_call_leaves_one_event_with_the_whole_call(api: Api, people: People):
    call = await opened(api, people)

    [(topic, event)] = await events(api)

    assert topic == "funding.call.opened.v1"
    assert (event["aggregate_version"], event["call"]["version"], call["version"]) == (2, 2, 2)
    assert event["call"]["state"] == "open"
    assert event["call"]["tracks"][0]["criteria"]["provinces"] == ["MA-AGD"]
    assert event["call"]["reference_on"] == call["reference_on"]


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


async def test_a_wall_clock_deadline_becomes_instant_zone_and_words(api: Api, people: People):
    call = await drafted(api, people)

    assert call["deadline"] == {
        "at": "2027-09-02T15:00:00Z",
        "zone": "Africa/Casablanca",
        "shown": "2 septembre 2027 à 16 h 00 (heure de Casablanca)",
        "shown_ar": "2 شتنبر 2027 على الساعة 16:00 (بتوقيت الدار البيضاء)",
    }


async def test_an_explicit_deadline_is_kept_as_published(api: Api, people: People):
    deadline = {
        "at": "2027-09-02T16:00:00+01:00",
        "zone": "Africa/Casablanca",
        "shown": "Jeudi 2 septembre, 16h",
        "shown_ar": None,
    }

    call = await drafted(api, people, deadline=deadline)

    assert call["deadline"] == {**deadline, "at": "2027-09-02T15:00:00Z"}


@pytest.mark.parametrize(
    ("deadline", "field", "word"),
    [
        ({"local": "2027-03-14T02:30"}, "deadline.local", "does not exist"),
        ({"local": "2027-02-07T02:30"}, "deadline.local", "twice"),
        ({"local": "2027-09-02"}, "deadline.local", "date and time"),
        ({"local": "2027-09-31T16:00"}, "deadline.local", "day"),
        ({"local": "2027-09-02T16:00+01:00"}, "deadline.local", "date and time"),
        ({"local": "0001-01-01T00:00"}, "deadline.local", "year"),
        ({"at": "9999-12-31T23:59:59Z", "shown": "jamais"}, "deadline.at", "year"),
        ({"at": "2027-09-02T16:00:00", "shown": "x"}, "deadline.at", "timezone"),
        ({"local": "2027-09-02T16:00", "zone": "Casablanca"}, "deadline.zone", "Africa/Casablanca"),
        ({"local": "2027-09-02T16:00", "zone": "../../etc"}, "deadline.zone", "did you mean"),
        ({"local": "2027-09-02T16:00", "shown": "x"}, "deadline", "either"),
        ({"at": "2027-09-02T16:00:00Z"}, "deadline", "either"),
        ({"until": "2027-09-02T16:00"}, "deadline.until", "not permitted"),
    ],
)
async def test_a_deadline_that_no_clock_shows_is_refused_with_the_remedy(
    api: Api, people: People, deadline: Json, field: str, word: str
):
    answer = await api.http.post("/calls", json=a_payload(deadline=deadline), headers=people.funder)

    assert (answer.status_code, fields_of(answer)) == (422, [field])
    assert word in answer.json()["detail"]


async def test_a_call_is_not_opened_after_its_deadline(api: Api, people: People):
    call = await drafted(api, people, deadline={"local": "2022-09-02T16:00"})

    answer = await api.http.post(f"/calls/{call['call_id']}/open", headers=people.funder)

    assert (answer.status_code, answer.json()["code"]) == (409, "deadline-passed")
    assert await events(api) == []


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


async def test_an_update_does_not_touch_the_deadline(api: Api, people: People):
    call = await opened(api, people)

    answer = await api.http.put(
        f"/calls/{call['call_id']}", json=a_payload(deadline=LATER), headers=people.funder
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["deadline"])
    assert "extend" in answer.json()["detail"]


async def test_extending_publishes_the_reason_and_both_deadlines(api: Api, people: People):
    call = await opened(api, people)

    answer = await api.http.post(
        f"/calls/{call['call_id']}/extend",
        json={"deadline": LATER, "reason": "intempéries"},
        headers=people.funder,
    )

    topic, event = (await events(api))[-1]
    assert (answer.status_code, topic) == (200, "funding.call.deadline_extended.v1")
    assert event["reason"] == "intempéries"
    assert event["previous_deadline"]["at"] == "2027-09-02T15:00:00Z"
    assert event["call"]["deadline"]["at"] == "2027-09-30T15:00:00Z"


async def test_a_deadline_is_not_moved_back(api: Api, people: People):
    call = await opened(api, people)
    body = {"deadline": {"local": "2027-09-01T16:00"}, "reason": "erreur"}

    answer = await api.http.post(
        f"/calls/{call['call_id']}/extend", json=body, headers=people.funder
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["deadline"])


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


async def test_a_call_past_its_deadline_is_closed_and_published_once(api: Api, people: People):
    call = await expired(api, people)

    async with api.sessions.begin() as session:
        first = await usecases.close_expired_calls(session, at=datetime.now(UTC))
    async with api.sessions.begin() as session:
        second = await usecases.close_expired_calls(session, at=datetime.now(UTC))

    topic, event = (await events(api))[-1]
    assert (first, second, topic) == (1, 0, "funding.call.closed.v1")
    assert (event["call_id"], event["call"]["state"]) == (call["call_id"], "closed")


async def test_calls_before_their_deadline_or_without_one_are_not_closed(api: Api, people: People):
    await opened(api, people)
    await opened(api, people, deadline=None)

    async with api.sessions.begin() as session:
        closed = await usecases.close_expired_calls(session, at=datetime.now(UTC))

    assert closed == 0


@pytest.mark.parametrize(
    ("method", "step", "body"),
    [
        ("PUT", "", a_payload(edition="2")),
        ("POST", "/extend", {"deadline": LATER, "reason": "pluie"}),
    ],
)
async def test_nothing_changes_after_the_deadline_even_before_the_call_is_stored_as_closed(
    api: Api, people: People, method: str, step: str, body: Json
):
    path = f"/calls/{(await expired(api, people))['call_id']}"

    answer = await api.http.request(method, path + step, json=body, headers=people.funder)
    seen = await api.http.get(path, headers=people.reader)

    assert (answer.status_code, answer.json()["code"]) == (409, "deadline-passed")
    assert seen.json()["state"] == "closed"


async def test_lists_by_state_count_a_call_that_is_over_as_closed(api: Api, people: People):
    over = await expired(api, people)
    standing = await opened(api, people, deadline=None)

    async def listed(state: str) -> list[str]:
        answer = await api.http.get(f"/calls?state={state}", headers=people.reader)
        return [call["call_id"] for call in answer.json()["items"]]

    assert await listed("open") == [standing["call_id"]]
    assert await listed("closed") == [over["call_id"]]


async def test_only_its_funder_and_operators_see_a_draft(api: Api, people: People):
    call = await drafted(api, people)

    async def seen_by(headers: dict[str, str]) -> tuple[int, int]:
        one = await api.http.get(f"/calls/{call['call_id']}", headers=headers)
        many = await api.http.get("/calls", headers=headers)
        return one.status_code, len(many.json()["items"])

    assert await seen_by(people.funder) == await seen_by(people.operator) == (200, 1)
    assert await seen_by(people.rival) == await seen_by(people.reader) == (404, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("region=MA-09", {"agadir", "national"}),
        ("region=MA-01", {"national", "north"}),
        ("sector=ARGAN", {"agadir", "national", "north"}),
        ("sector=CRAFTS", {"agadir", "national"}),
        ("funder=indh-agadir", {"agadir", "national", "north"}),
        ("funder=indh-tiznit", set()),
        ("state=cancelled", set()),
    ],
)
async def test_a_search_finds_calls_by_place_sector_state_and_funder(
    api: Api, people: People, query: str, found: set[str]
):
    made = {
        "agadir": await opened(api, people),
        "national": await opened(api, people, tracks=[a_track()]),
        "north": await opened(
            api, people, tracks=[a_track(communes=["01.051.01.01"], sectors=["ARGAN"])]
        ),
    }

    answer = await api.http.get(f"/calls?{query}", headers=people.reader)

    names = {call["call_id"]: name for name, call in made.items()}
    assert {names[call["call_id"]] for call in answer.json()["items"]} == found


async def test_pages_show_every_call_once(api: Api, people: People):
    made = [(await drafted(api, people))["call_id"] for _ in range(5)]
    seen: list[str] = []
    after: str | None = ""

    while after is not None:
        page = (await api.http.get(f"/calls?limit=2{after}", headers=people.funder)).json()
        seen += [call["call_id"] for call in page["items"]]
        after = f"&after={page['next']}" if page["next"] else None

    assert seen == made[::-1]


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


async def test_the_same_key_finds_the_call_made_before(api: Api, people: People):
    headers = {**people.funder, "Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/calls", json=a_payload(), headers=headers)
    second = await api.http.post("/calls", json=a_payload(), headers=headers)
    listed = await api.http.get("/calls", headers=people.funder)

    assert (first.status_code, second.status_code) == (201, 200)
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
