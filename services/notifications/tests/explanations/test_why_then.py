"""Explanations and time: as of the end of a subject, as of now while it is open, or of a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifications.explanations import queries

from ..builders import a_call, a_record, a_track, closed, opened, updated
from ..commands import ask_why, consume, moment


async def test_the_explanation_stays_the_same_after_the_record_changed(api, tokens):
    alerted, left_out, call = (
        a_record(),
        a_record(sector="CRAFTS"),
        a_call(a_track(sectors=["ARGAN"])),
    )
    await consume(api.sessions, alerted, left_out, opened(call), closed(call))
    swap = {"version": 2, "sector": "CRAFTS"}, {"version": 2, "sector": "ARGAN"}
    await consume(
        api.sessions, alerted.model_copy(update=swap[0]), left_out.model_copy(update=swap[1])
    )

    answers = [await ask_why(api, tokens, call.call_id, record) for record in (alerted, left_out)]

    assert [(a["because"], a["profile_version"]) for a in answers] == [
        ("alerted", 1),
        ("excluded", 1),
    ]
    assert "Argan" in answers[0]["tracks"][0]["reasons"][0]
    assert "Artisanat ; demandé : Argan" in answers[1]["tracks"][0]["reasons"][0]


async def test_another_moment_may_be_asked_for(api, tokens):
    record, call = a_record(sector="CRAFTS"), a_call(a_track(sectors=["ARGAN"]))
    before_all = await moment(api)
    await consume(api.sessions, record)
    before_call = await moment(api)
    await consume(api.sessions, opened(call))
    after_call = await moment(api)
    await consume(api.sessions, record.model_copy(update={"version": 2, "sector": "ARGAN"}))
    after_change = await moment(api)

    answers = [
        await ask_why(api, tokens, call.call_id, record, at=at.isoformat())
        for at in (before_all, before_call, after_call, after_change)
    ]

    assert [answer["because"] for answer in answers] == [
        "not_alerted_yet",
        "not_alerted_yet",
        "excluded",
        "alerted",
    ]
    assert [answer["profile_version"] for answer in answers] == [None, 1, 1, 2]
    assert datetime.fromisoformat(answers[2]["as_of"]) == after_call


async def test_before_it_arrived_a_cooperative_was_not_in_the_audience(api, tokens):
    call, record = a_call(), a_record()
    await consume(api.sessions, opened(call))
    then = await moment(api)
    await consume(api.sessions, record)

    why = await ask_why(api, tokens, call.call_id, record, at=then.isoformat())

    assert (why["alerted"], why["because"]) == (False, "not_in_audience_then")
    assert (why["tracks"], why["profile"], why["profile_version"]) == ([], [], None)


async def test_who_came_late_but_in_time_is_judged_by_its_newest_record(api, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await consume(api.sessions, opened(call), record)
    await consume(api.sessions, record.model_copy(update={"version": 2, "sector": "FOOD"}))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["because"], why["profile_version"]) == ("excluded", 2)


async def test_who_came_after_the_end_was_not_in_the_audience_then(api, tokens):
    call, record = a_call(), a_record()
    await consume(api.sessions, opened(call), closed(call), record)

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["because"]) == (False, "not_in_audience_then")


async def test_who_came_to_match_after_the_end_is_judged_as_of_the_end(api, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await consume(api.sessions, opened(call), record, closed(call))
    await consume(api.sessions, record.model_copy(update={"version": 2, "sector": "ARGAN"}))
    afterwards = await moment(api)

    why = await ask_why(api, tokens, call.call_id, record)
    later = await ask_why(api, tokens, call.call_id, record, at=afterwards.isoformat())

    assert (why["because"], why["profile_version"]) == ("excluded", 1)
    assert (why["content_version"], why["subject_state"]) == (3, "closed")
    assert (later["because"], later["verdict"]) == ("subject_not_open", "eligible")
    assert later["summary"] == "L'appel était clos à ce moment."


async def test_while_it_is_open_who_was_there_before_is_judged_by_its_newest_record(api, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await consume(api.sessions, record, opened(call))
    await consume(api.sessions, record.model_copy(update={"version": 2, "sector": "FOOD"}))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["because"], why["profile_version"]) == ("excluded", 2)


async def test_while_it_is_open_the_newest_criteria_count(api, tokens):
    call, record = a_call(a_track(provinces=["MA-AGD"])), a_record()
    await consume(api.sessions, record, opened(call))
    await consume(api.sessions, updated(call, tracks=(a_track(sectors=["CRAFTS"]),)))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["because"], why["content_version"]) == ("excluded", 3)
    assert why["tracks"][0]["rules"] == ["sector"]


async def test_who_is_alerted_after_the_criteria_changed_reads_the_new_ones(api, tokens):
    record, call = a_record(), a_call(a_track(provinces=["MA-AGD"]))
    await consume(api.sessions, record, opened(call))
    await consume(api.sessions, updated(call, tracks=(a_track(provinces=["MA-TIZ"]),)))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["because"], why["content_version"]) == ("alerted", 3)


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ((datetime.now(UTC) + timedelta(days=1)).isoformat(), "leave it out"),
        ("2026-11-24T09:00:00", "the zone is missing"),
    ],
)
async def test_a_moment_to_come_or_without_a_zone_is_refused(api, tokens, at, says):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call))

    answer = await api.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}",
        params={"at": at},
        headers=tokens.headers("operator"),
    )

    assert answer.status_code == 422
    assert says in answer.text


async def test_the_clock_of_the_database_decides_which_moment_is_to_come(api, monkeypatch):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call))
    in_an_hour = await moment(api) + timedelta(hours=1)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=2)

    monkeypatch.setattr(queries, "datetime", Ahead)

    async with api.sessions() as session:
        with pytest.raises(queries.MomentToCome):
            await queries.find_why(session, call.call_id, record.cooperative_id, at=in_an_hour)
