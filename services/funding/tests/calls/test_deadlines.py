"""Deadlines over HTTP: how they are given, moved, and what they end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from devkit.pytest_plugin import Api
from funding.calls import usecases
from funding.calls.models import calls

from .api_steps import LATER, Json, People, drafted, events, expired, fields_of, opened
from .builders import a_payload


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
        ({"at": "2027-09-02T16:00:00", "shown": "x"}, "deadline.at", "zone"),
        ({"local": "2027-09-02T16:00", "zone": "Casablanca"}, "deadline.zone", "Africa/Casablanca"),
        ({"local": "2027-09-02T16:00", "zone": "../../etc"}, "deadline.zone", "did you mean"),
        ({"local": "2027-09-02T16:00", "shown": "x"}, "deadline", "either"),
        ({"at": "2027-09-02T16:00:00Z"}, "deadline", "either"),
        ({"until": "2027-09-02T16:00"}, "deadline.until", "no such field"),
    ],
)
async def test_a_deadline_that_no_clock_shows_is_refused_with_the_remedy(
    api: Api, people: People, deadline: Json, field: str, word: str
):
    answer = await api.http.post("/calls", json=a_payload(deadline=deadline), headers=people.funder)

    assert (answer.status_code, fields_of(answer)) == (422, [field])
    assert word in answer.json()["detail"]


PAST = {"local": "2022-09-02T16:00"}
NAMELY = "2 septembre 2022 à 16 h 00"


async def test_a_draft_with_a_past_deadline_is_refused_with_field_and_remedy(
    api: Api, people: People
):
    answer = await api.http.post("/calls", json=a_payload(deadline=PAST), headers=people.funder)

    assert (answer.status_code, answer.json()["code"]) == (422, "past-deadline")
    assert fields_of(answer) == ["deadline"]
    assert NAMELY in answer.json()["detail"]
    assert "give a later one" in answer.json()["detail"]


async def test_a_draft_is_not_changed_to_a_past_deadline(api: Api, people: People):
    call = await drafted(api, people)
    path = f"/calls/{call['call_id']}"

    answer = await api.http.put(path, json=a_payload(deadline=PAST), headers=people.funder)

    assert (answer.status_code, fields_of(answer)) == (422, ["deadline"])
    assert (await api.http.get(path, headers=people.funder)).json() == call


async def test_a_call_is_not_opened_after_its_deadline(api: Api, people: People):
    call = await drafted(api, people)
    async with api.sessions.begin() as session:
        await session.execute(update(calls).values(closes_at=datetime.now(UTC)))

    answer = await api.http.post(f"/calls/{call['call_id']}/open", headers=people.funder)

    assert (answer.status_code, answer.json()["code"]) == (409, "deadline-passed")
    assert await events(api) == []


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
