"""Why a cooperative was told of something, and why another was not, at any later time."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from notifications import handlers, queries, usecases
from notifications.answers import WhyOut
from notifications.cli.why import lines_of, moment_of
from notifications.domain import HoldState
from notifications.domain.why import Decision
from notifications.holding import ground_of
from notifications.labels import how_to_complete
from notifications.ledger_lines import HEADER
from shared.contracts.registry import CooperativesImported
from shared.database import make_engine, make_sessions

from .builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    cancelled,
    closed,
    extended,
    opened,
    published,
    updated,
    withdrawn,
)


async def heard(sessions, *happened):
    """Records and facts, in the order in which they arrived."""
    async with sessions.begin() as session:
        for item in happened:
            if hasattr(item, "cooperative_id"):
                batch = CooperativesImported(
                    batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=(item,)
                )
                await handlers.keep_imported_cooperatives(batch, session)
                await usecases.tell_late(session)
            elif "ideas" in item.topic:
                await handlers.follow_idea(item, session)
            else:
                await handlers.follow_call(item, session)


async def moment(door):
    """The present of the database, which dates what is heard."""
    async with door.sessions() as session:
        return await session.scalar(select(func.clock_timestamp()))


async def ask(door, tokens, subject_id, record, headers=None, **parameters):
    answer = await door.http.get(
        f"/subjects/{subject_id}/why/{record.cooperative_id}",
        params=parameters,
        headers=headers or tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_who_was_told_reads_the_rules_that_matched_and_the_facts_behind_them(door, tokens):
    record, call = a_record(), a_call(a_track(provinces=["MA-TIZ"], sectors=["ARGAN"]))
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["because"], why["verdict"]) == (True, "told", "eligible")
    (track,) = why["tracks"]
    assert track["track"] == "Coopératives"
    assert track["rules"] == ["territory", "sector", "legal_status"]
    assert "Tiznit" in track["reasons"][0]
    assert {fact["field"]: fact["label"] for fact in why["facts"]} == {
        "province": "Tiznit",
        "sector": "Argane",
        "legal_status": "immatriculée",
    }
    (alert,) = why["alerts"]
    assert (alert["edition"], alert["kind"], alert["subject_version"]) == (0, "opened", 2)
    assert (why["content_version"], why["facts_version"]) == (2, 1)
    assert why["as_of"] == alert["told_at"]


async def test_a_field_that_would_decide_is_named(door, tokens):
    record = a_record(members_youth=None)
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 50}))
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["verdict"]) == (True, "unknown")
    assert why["tracks"][0]["to_complete"] == ["members_youth"]
    assert "À compléter : nombre de jeunes (18-35 ans)" in why["tracks"][0]["reasons"]
    assert why["tracks"][0]["how_to_complete"] == (
        "Pour que la réponse soit sûre, demandez à votre délégation régionale de l'ODCO d'inscrire"
        " ou de corriger au registre : nombre de jeunes (18-35 ans)."
    )
    youth = next(fact for fact in why["facts"] if fact["field"] == "members_youth")
    assert (youth["value"], youth["label"]) == (None, None)


def test_whom_to_ask_names_every_field_in_the_language_of_the_reader():
    sentence = how_to_complete(["members_women", "created_on"], "ar")

    assert sentence is not None
    assert "المندوبية الجهوية" in sentence
    assert sentence.endswith(": عدد النساء؛ تاريخ التأسيس.")
    assert how_to_complete([], "fr") is None


EXCLUDED = [
    ({"provinces": ["MA-AGD"]}, {}, "territory", "territoire demandé : préfecture d'Agadir"),
    ({"sectors": ["CRAFTS"]}, {}, "sector", "demandé : Artisanat"),
    (
        {"branches": ["TEXTILE"]},
        {"branch": "LEATHER"},
        "branch",
        "Branche : code LEATHER ; demandé",
    ),
    ({"applicant_types": ["gie"]}, {}, "applicant_type", "demandé : groupement d'intérêt"),
    ({}, {"legal_status": "struck_off"}, "legal_status", "radiée ; demandé : immatriculée"),
    (
        {"activity_statuses": ["active"]},
        {"activity_status": "dormant"},
        "activity_status",
        "en sommeil ; demandé : active",
    ),
    (
        {"min_share_women": {"percent": 90}},
        {},
        "share_women",
        "12 femmes sur 15 membres : il faut au moins 90 %",
    ),
    ({"min_share_youth": {"percent": 50}}, {}, "share_youth", "3 jeunes (18-35 ans) sur 15"),
    (
        {"min_share_women_plus_youth": {"percent": 100, "strict": True}},
        {},
        "share_women_plus_youth",
        "12 femmes + 3 jeunes (18-35 ans) pour 15 membres : il faut plus de 100 %",
    ),
    (
        {"min_share_women_or_youth": {"percent": 90}},
        {"members_women_or_youth": 13},
        "share_women_or_youth",
        "13 femmes ou jeunes (18-35 ans) sur 15 membres",
    ),
    ({"min_members": 20}, {}, "members", "15 membres : il en faut au moins 20"),
    ({"max_age_months": 36}, {}, "age", "Création le 4 mai 2020 : il faut au plus 36 mois"),
]


@pytest.mark.parametrize(
    ("criteria", "facts", "rule", "says"), EXCLUDED, ids=[case[2] for case in EXCLUDED]
)
async def test_who_was_not_told_reads_the_rule_that_excluded_it(
    door, tokens, criteria, facts, rule, says
):
    record, call = a_record(**facts), a_call(a_track(**criteria))
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["because"], why["verdict"]) == (False, "excluded", "ineligible")
    (track,) = why["tracks"]
    assert (track["verdict"], track["rules"], track["to_complete"]) == ("ineligible", [rule], [])
    (reason,) = track["reasons"]
    assert says in reason
    assert why["alerts"] == []


async def test_each_track_has_a_reason_of_its_own_in_the_language_asked_for(door, tokens):
    record = a_record(language="ar")
    call = a_call(a_track(provinces=["MA-AGD"]), a_track(sectors=["CRAFTS"], min_members=50))
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["language"], why["dir"]) == ("ar", "rtl")
    assert [track["rules"] for track in why["tracks"]] == [["territory"], ["sector", "members"]]
    assert "تيزنيت" in why["tracks"][0]["reasons"][0]
    assert [len(track["reasons"]) for track in why["tracks"]] == [1, 2]


async def test_the_reason_stays_that_of_then_after_the_record_changed(door, tokens):
    told, left_out, call = a_record(), a_record(sector="CRAFTS"), a_call(a_track(sectors=["ARGAN"]))
    await heard(door.sessions, told, left_out, opened(call), closed(call))
    swap = {"version": 2, "sector": "CRAFTS"}, {"version": 2, "sector": "ARGAN"}
    await heard(door.sessions, told.model_copy(update=swap[0]), left_out.model_copy(update=swap[1]))

    answers = [await ask(door, tokens, call.call_id, record) for record in (told, left_out)]

    assert [(a["because"], a["facts_version"]) for a in answers] == [("told", 1), ("excluded", 1)]
    assert "Argan" in answers[0]["tracks"][0]["reasons"][0]
    assert "Artisanat ; demandé : Argan" in answers[1]["tracks"][0]["reasons"][0]


async def test_another_moment_may_be_asked_for(door, tokens):
    record, call = a_record(sector="CRAFTS"), a_call(a_track(sectors=["ARGAN"]))
    before_all = await moment(door)
    await heard(door.sessions, record)
    before_call = await moment(door)
    await heard(door.sessions, opened(call))
    excluded = await moment(door)
    await heard(door.sessions, record.model_copy(update={"version": 2, "sector": "ARGAN"}))
    told = await moment(door)

    answers = [
        await ask(door, tokens, call.call_id, record, at=at.isoformat())
        for at in (before_all, before_call, excluded, told)
    ]

    assert [answer["because"] for answer in answers] == [
        "not_told_yet",
        "not_told_yet",
        "excluded",
        "told",
    ]
    assert [answer["facts_version"] for answer in answers] == [None, 1, 1, 2]
    assert datetime.fromisoformat(answers[2]["as_of"]) == excluded


async def test_before_it_was_known_a_cooperative_was_not_in_the_audience(door, tokens):
    call, record = a_call(), a_record()
    await heard(door.sessions, opened(call))
    then = await moment(door)
    await heard(door.sessions, record)

    why = await ask(door, tokens, call.call_id, record, at=then.isoformat())

    assert (why["told"], why["because"]) == (False, "not_in_audience_then")
    assert (why["tracks"], why["facts"], why["facts_version"]) == ([], [], None)


async def test_who_came_late_but_in_time_is_judged_by_its_newest_record(door, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await heard(door.sessions, opened(call), record)
    await heard(door.sessions, record.model_copy(update={"version": 2, "sector": "FOOD"}))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["because"], why["facts_version"]) == ("excluded", 2)


async def test_who_came_after_the_end_was_not_in_the_audience_then(door, tokens):
    call, record = a_call(), a_record()
    await heard(door.sessions, opened(call), closed(call), record)

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["because"]) == (False, "not_in_audience_then")


async def test_who_came_to_match_after_the_end_is_judged_as_of_the_end(door, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await heard(door.sessions, opened(call), record, closed(call))
    await heard(door.sessions, record.model_copy(update={"version": 2, "sector": "ARGAN"}))
    afterwards = await moment(door)

    why = await ask(door, tokens, call.call_id, record)
    later = await ask(door, tokens, call.call_id, record, at=afterwards.isoformat())

    assert (why["because"], why["facts_version"]) == ("excluded", 1)
    assert (why["content_version"], why["subject_state"]) == (3, "closed")
    assert (later["because"], later["verdict"]) == ("subject_not_open", "eligible")
    assert later["summary"] == "L'appel était clos à ce moment."


async def test_while_it_is_open_who_was_there_before_is_judged_by_its_newest_record(door, tokens):
    call, record = a_call(a_track(sectors=["ARGAN"])), a_record(sector="CRAFTS")
    await heard(door.sessions, record, opened(call))
    await heard(door.sessions, record.model_copy(update={"version": 2, "sector": "FOOD"}))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["because"], why["facts_version"]) == ("excluded", 2)


async def test_while_it_is_open_the_newest_criteria_count(door, tokens):
    call, record = a_call(a_track(provinces=["MA-AGD"])), a_record()
    await heard(door.sessions, record, opened(call))
    await heard(door.sessions, updated(call, tracks=(a_track(sectors=["CRAFTS"]),)))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["because"], why["content_version"]) == ("excluded", 3)
    assert why["tracks"][0]["rules"] == ["sector"]


async def decide(door, tokens, state, reason, subject_id=None):
    path = f"/subjects/{subject_id}/hold" if subject_id else "/hold"
    decided = await door.http.put(
        path, json={"state": state, "reason": reason}, headers=tokens.headers("operator")
    )
    assert decided.status_code == 200, decided.text
    async with door.sessions.begin() as session:
        await usecases.tell_waiting(session)


async def test_of_a_subject_held_back_the_answer_names_the_hold(door, tokens):
    record, call = a_record(), a_call()
    await decide(door, tokens, "held", "à relire", call.call_id)
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["because"], why["verdict"]) == (False, "held_back", "eligible")
    assert why["summary"] == "L'envoi était retenu à ce moment : à relire."
    hold = why["hold"]
    assert (hold["state"], hold["by"], hold["of_everything"]) == ("held", "operator", False)
    assert "libère" in hold["next"]


async def test_while_it_is_held_why_and_ledger_name_the_same_ones(door, tokens):
    call = a_call(a_track(sectors=["ARGAN"]))
    fits, misfit, changed = a_record(), a_record(sector="CRAFTS"), a_record(sector="CRAFTS")
    await heard(door.sessions, fits, misfit, changed)
    await decide(door, tokens, "held", "à relire", call.call_id)
    await heard(door.sessions, opened(call))
    await heard(door.sessions, changed.model_copy(update={"version": 2, "sector": "ARGAN"}))

    because = {
        str(each.cooperative_id): (await ask(door, tokens, call.call_id, each))["because"]
        for each in (fits, misfit, changed)
    }
    rows = await read_ledger(door, tokens, call.call_id)

    assert list(because.values()) == ["held_back", "excluded", "held_back"]
    assert {row["cooperative_id"] for row in rows} == {
        each for each, ground in because.items() if ground == "held_back"
    }


async def test_of_a_subject_held_by_itself_the_answer_names_both_numbers_to_staff(door, tokens):
    record = a_record()
    call = a_call(confirmed_audience=0)
    await heard(door.sessions, record, *(a_record() for _ in range(10)), opened(call))

    why = await ask(door, tokens, call.call_id, record, language="ar")
    rows = await read_ledger(door, tokens, call.call_id)

    assert (why["because"], why["hold"]["by"]) == ("held_back", "notifications")
    assert why["summary"] == "كان الإرسال موقوفا في ذلك الوقت: في انتظار تأكيد عدد المرسل إليهم."
    assert why["hold"]["reason"] == "recipients confirmed: 0, matching now: 11"
    assert "الإفراج" in why["hold"]["next"]
    assert rows[0]["not_told_because"] == (
        "en attente d'une confirmation du nombre de destinataires"
    )


@pytest.mark.parametrize(
    ("language", "own", "operator"),
    [
        (
            "fr",
            "en attente d'une confirmation du nombre de destinataires",
            "décision d'un opérateur de la plateforme",
        ),
        ("ar", "في انتظار تأكيد عدد المرسل إليهم", "بقرار من أحد مسؤولي المنصة"),
    ],
)
async def test_a_cooperative_reads_neither_the_numbers_nor_what_an_operator_wrote(
    door, tokens, language, own, operator
):
    record = a_record()
    by_itself, by_hand = a_call(confirmed_audience=0), a_call(a_track(sectors=["ARGAN"]))
    await decide(door, tokens, "held", "the funder is late", by_hand.call_id)
    await heard(door.sessions, record, *(a_record() for _ in range(10)))
    await heard(door.sessions, opened(by_itself), opened(by_hand))
    headers = tokens.headers("cooperative", cooperatives=[record.cooperative_id])

    answers = [
        await ask(door, tokens, call.call_id, record, headers, language=language)
        for call in (by_itself, by_hand)
    ]

    for why, ground in zip(answers, (own, operator), strict=True):
        assert why["summary"].endswith(f": {ground}.")
        assert {why["hold"]["reason"], why["decisions"][0]["reason"]} == {ground}


DECIDED = [
    (None, HoldState.HELD),
    (None, HoldState.RELEASED),
    *((uuid.uuid4(), state) for state in HoldState),
]


@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize(("by", "state"), DECIDED)
def test_every_decision_has_a_ground_in_both_languages(by, state, language):
    decision = Decision(
        everything=False, state=state, reason="r", decided_by=by, decided_at=datetime.now(UTC)
    )

    assert ground_of(decision, language, for_staff=False)


async def test_of_a_stopped_subject_nobody_will_ever_be_told(door, tokens):
    record, call = a_record(), a_call()
    await decide(door, tokens, "held", "everything waits")
    await decide(door, tokens, "stopped", "a wrong cap", call.call_id)
    await heard(door.sessions, record, opened(call))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["because"], why["hold"]["reason"]) == ("held_back", "a wrong cap")
    assert "personne d'autre" in why["hold"]["next"]


async def test_the_history_of_holds_answers_as_of_then(door, tokens):
    record, call = a_record(), a_call()
    await heard(door.sessions, record)
    await decide(door, tokens, "held", "everything waits")
    await heard(door.sessions, opened(call))
    in_between = await moment(door)
    await decide(door, tokens, "released", "go on")

    then = await ask(door, tokens, call.call_id, record, at=in_between.isoformat())
    now = await ask(door, tokens, call.call_id, record)

    assert (then["because"], then["hold"]["of_everything"]) == ("held_back", True)
    assert [d["state"] for d in then["decisions"]] == ["held"]
    assert (now["because"], now["hold"]) == ("told", None)
    assert [d["state"] for d in now["decisions"]] == ["held", "released"]


@pytest.mark.parametrize("end", [cancelled, closed])
async def test_of_a_call_that_ended_before_it_was_heard_nobody_was_told(door, tokens, end):
    record, call = a_record(), a_call()
    ended = end(call)
    await heard(door.sessions, record, ended)

    why = await ask(door, tokens, call.call_id, record)

    assert (why["told"], why["because"]) == (False, "subject_not_open")
    assert why["subject_state"] == ended.call.state


async def test_of_an_idea_withdrawn_first_nobody_was_told(door, tokens):
    record, idea = a_record(), an_idea()
    await heard(door.sessions, record, withdrawn(idea), published(idea))

    why = await ask(door, tokens, idea.idea_id, record)

    assert (why["because"], why["subject_state"]) == ("subject_not_open", "withdrawn")
    assert why["summary"] == "L'idée était retirée à ce moment."


async def test_an_idea_has_one_track_without_a_name(door, tokens):
    record, idea = a_record(region="MA-01", province="MA-HOC"), an_idea()
    await heard(door.sessions, record, published(idea))

    why = await ask(door, tokens, idea.idea_id, record)

    (track,) = why["tracks"]
    assert (why["because"], track["track"], track["rules"]) == ("excluded", None, ["territory"])


async def test_corrections_stand_beside_the_first_alert_and_leave_its_reason(door, tokens):
    record, call = a_record(), a_call()
    await heard(door.sessions, record, opened(call), extended(call))

    why = await ask(door, tokens, call.call_id, record)

    assert [(a["edition"], a["kind"]) for a in why["alerts"]] == [
        (0, "opened"),
        (3, "deadline_extended"),
    ]
    assert why["content_version"] == 2


async def test_who_is_told_only_after_the_criteria_changed_reads_those(door, tokens):
    record, call = a_record(), a_call(a_track(provinces=["MA-AGD"]))
    await heard(door.sessions, record, opened(call))
    await heard(door.sessions, updated(call, tracks=(a_track(provinces=["MA-TIZ"]),)))

    why = await ask(door, tokens, call.call_id, record)

    assert (why["because"], why["content_version"]) == ("told", 3)


@pytest.mark.parametrize(
    ("roles", "own", "provinces", "status"),
    [
        (["operator"], False, [], 200),
        (["cooperative"], True, [], 200),
        (["cooperative"], False, [], 403),
        (["delegate"], False, ["MA-TIZ"], 200),
        (["delegate"], False, ["MA-AGD"], 403),
        (["partner"], False, [], 403),
        (["juror"], True, [], 403),
    ],
)
async def test_who_may_read_the_inbox_may_ask_why(door, tokens, roles, own, provinces, status):
    record, call = a_record(), a_call()
    await heard(door.sessions, record, opened(call))
    headers = tokens.headers(
        *roles, provinces=provinces, cooperatives=[record.cooperative_id] if own else []
    )

    answer = await door.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}", headers=headers
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ((datetime.now(UTC) + timedelta(days=1)).isoformat(), "leave it out"),
        ("2026-11-24T09:00:00", "timezone"),
    ],
)
async def test_a_moment_to_come_or_without_a_zone_is_refused(door, tokens, at, says):
    record, call = a_record(), a_call()
    await heard(door.sessions, record, opened(call))

    answer = await door.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}",
        params={"at": at},
        headers=tokens.headers("operator"),
    )

    assert answer.status_code == 422
    assert says in answer.text


async def test_what_lies_ahead_is_told_by_the_clock_of_the_database(door, monkeypatch):
    record, call = a_record(), a_call()
    await heard(door.sessions, record, opened(call))
    in_an_hour = await moment(door) + timedelta(hours=1)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=2)

    monkeypatch.setattr(queries.why, "datetime", Ahead)

    async with door.sessions() as session:
        with pytest.raises(queries.MomentToCome):
            await queries.find_why(session, call.call_id, record.cooperative_id, at=in_an_hour)


@pytest.mark.parametrize(
    ("knows_call", "knows_record", "code"),
    [(False, True, "no-such-subject"), (True, False, "no-such-cooperative")],
)
async def test_what_was_never_heard_of_is_not_found(door, tokens, knows_call, knows_record, code):
    record, call = a_record(), a_call()
    known = [record] * knows_record + [opened(call)] * knows_call
    await heard(door.sessions, *known)

    answer = await door.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}",
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_totals_count_corrections_apart_from_first_alerts(door, tokens):
    call = a_call()
    await heard(door.sessions, a_record(), a_record(), opened(call), extended(call))

    answer = await door.http.get(
        f"/subjects/{call.call_id}/totals", headers=tokens.headers("operator")
    )

    totals = answer.json()
    assert (totals["matched"], totals["alerted"]) == (2, 2)
    assert totals["corrections"] == [{"edition": 3, "kind": "deadline_extended", "alerts": 2}]


async def read_ledger(door, tokens, subject_id):
    answer = await door.http.get(
        f"/subjects/{subject_id}/ledger.csv", headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_the_ledger_has_one_row_per_alert_with_the_facts_of_then(door, tokens):
    sure, unsure = a_record(), a_record(sector=None, name_fr="Coopérative, dite « Amal »")
    call = a_call(a_track(sectors=["ARGAN"]))
    await heard(door.sessions, sure, unsure, opened(call), extended(call))
    await heard(door.sessions, sure.model_copy(update={"version": 2, "province": "MA-AGD"}))

    rows = await read_ledger(door, tokens, call.call_id)

    assert list(rows[0]) == list(HEADER)
    assert {
        (row["cooperative_id"], row["edition"], row["kind"], row["subject_version"]) for row in rows
    } == {
        (str(record.cooperative_id), *alert)
        for record in (sure, unsure)
        for alert in (("0", "opened", "2"), ("3", "deadline_extended", "3"))
    }
    (first, _) = (row for row in rows if row["cooperative_id"] == str(sure.cooperative_id))
    assert (first["province"], first["verdict"], first["unknown_fields"]) == (
        "MA-TIZ",
        "eligible",
        "",
    )
    (asked, _) = (row for row in rows if row["cooperative_id"] == str(unsure.cooperative_id))
    assert (asked["name_fr"], asked["verdict"], asked["unknown_fields"]) == (
        "Coopérative, dite « Amal »",
        "unknown",
        "sector",
    )


@pytest.mark.parametrize("name", ["=HYPERLINK(A1)", "+212", "-2+3", "@SUM(A1)"])
async def test_a_name_never_becomes_a_formula(door, tokens, name):
    record, call = a_record(name_fr=name), a_call()
    await heard(door.sessions, record, opened(call))

    (row,) = await read_ledger(door, tokens, call.call_id)

    assert row["name_fr"] == f"'{name}"


async def test_batches_of_the_ledger_follow_each_other_without_gap_or_repeat(door):
    call, records = a_call(), [a_record() for _ in range(5)]
    await heard(door.sessions, *records, opened(call), extended(call))

    batches = [batch async for batch in queries.ledger_batches(door.sessions, call.call_id, size=3)]

    keys = [(row.cooperative_id, row.edition) for batch in batches for row in batch]
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert keys == sorted({(r.cooperative_id, edition) for r in records for edition in (0, 3)})


@pytest.mark.parametrize("role", ["cooperative", "partner", "holder", "reviewer"])
async def test_the_ledger_is_for_operators_and_delegates(door, tokens, role):
    answer = await door.http.get(
        f"/subjects/{uuid.uuid4()}/ledger.csv", headers=tokens.headers(role)
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/subjects/{id}/why/{id}", "/subjects/{id}/ledger.csv"])
async def test_nobody_asks_without_a_token(door, path):
    answer = await door.http.get(path.format(id=uuid.uuid4()))

    assert answer.status_code == 401


def taawon(url, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "shared.cli", *arguments],
        env={**os.environ, "TAAWON_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_the_command_answers_from_the_database(databases):
    url = databases.fresh("notifications")
    record, call = a_record(created_on=date(2020, 5, 4)), a_call(a_track(provinces=["MA-AGD"]))
    engine = make_engine(url, pool_size=1)
    await heard(make_sessions(engine), record, opened(call))
    await engine.dispose()
    asked = ("why", str(call.call_id), str(record.cooperative_id))

    told, data = taawon(url, *asked), taawon(url, *asked, "--language", "ar", "--json")

    assert told.returncode == 0, told.stderr
    assert "Appel à projets — excluded" in told.stdout
    assert "Tiznit" in told.stdout
    assert json.loads(data.stdout)["title"] == "طلب مشاريع"


async def test_the_command_takes_the_moments_that_it_shows_and_speaks_to_the_cooperative(databases):
    url = databases.fresh("notifications")
    record, call = a_record(language="ar"), a_call()
    engine = make_engine(url, pool_size=1)
    await heard(make_sessions(engine), record, opened(call))
    await engine.dispose()
    asked = ("why", str(call.call_id), str(record.cooperative_id))
    first = taawon(url, *asked).stdout
    (shown,) = re.findall(r"told \((.*)\)", first)

    again = taawon(url, *asked, "--at", shown)

    assert again.stdout == first
    assert "تم إشعار التعاونية." in first
    assert moment_of("2026-11-24 09:00") == datetime(2026, 11, 24, 9, tzinfo=UTC)


async def test_the_command_says_whom_to_ask_for_what_is_missing(door, tokens):
    record, call = a_record(sector=None), a_call(a_track(sectors=["ARGAN"]))
    await heard(door.sessions, record, opened(call))

    lines = lines_of(WhyOut.model_validate(await ask(door, tokens, call.call_id, record)))

    assert any("→ Pour que la réponse soit sûre" in line for line in lines)


async def test_the_command_says_what_it_does_not_know(databases):
    url = databases.migrated("notifications")

    answered = taawon(url, "why", str(uuid.uuid4()), str(uuid.uuid4()))

    assert answered.returncode == 1
    assert "has been announced here yet" in answered.stderr
