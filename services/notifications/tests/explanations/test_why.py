"""Why a cooperative was alerted of a subject, or not, in both languages."""

from __future__ import annotations

import pytest

from notifications.labels import how_to_complete

from ..builders import a_call, a_record, a_track, an_idea, extended, opened, published
from ..commands import ask_why, consume


async def test_who_was_alerted_reads_the_rules_that_matched_and_the_fields_behind_them(api, tokens):
    record, call = a_record(), a_call(a_track(provinces=["MA-TIZ"], sectors=["ARGAN"]))
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["because"], why["verdict"]) == (True, "alerted", "eligible")
    (track,) = why["tracks"]
    assert track["track"] == "Coopératives"
    assert track["rules"] == ["territory", "sector", "legal_status"]
    assert "Tiznit" in track["reasons"][0]
    assert {field["field"]: field["label"] for field in why["profile"]} == {
        "province": "Tiznit",
        "sector": "Argane",
        "legal_status": "immatriculée",
    }
    (alert,) = why["alerts"]
    assert (alert["edition"], alert["kind"], alert["subject_version"]) == (0, "opened", 2)
    assert (why["content_version"], why["profile_version"]) == (2, 1)
    assert why["as_of"] == alert["alerted_at"]


async def test_a_missing_field_that_would_decide_is_named(api, tokens):
    record = a_record(members_youth=None)
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 50}))
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["verdict"]) == (True, "unknown")
    assert why["tracks"][0]["to_complete"] == ["members_youth"]
    assert "À compléter : nombre de jeunes (18-35 ans)" in why["tracks"][0]["reasons"]
    assert why["tracks"][0]["how_to_complete"] == (
        "Pour que la réponse soit sûre, demandez à votre délégation régionale de l'ODCO d'inscrire"
        " ou de corriger au registre : nombre de jeunes (18-35 ans)."
    )
    youth = next(field for field in why["profile"] if field["field"] == "members_youth")
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
        "Branche : Cuir et maroquinerie ; demandé",
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
    ("criteria", "profile", "rule", "says"), EXCLUDED, ids=[case[2] for case in EXCLUDED]
)
async def test_who_was_not_alerted_reads_the_rule_that_excluded_it(
    api, tokens, criteria, profile, rule, says
):
    record, call = a_record(**profile), a_call(a_track(**criteria))
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["because"], why["verdict"]) == (False, "excluded", "ineligible")
    (track,) = why["tracks"]
    assert (track["verdict"], track["rules"], track["to_complete"]) == ("ineligible", [rule], [])
    (reason,) = track["reasons"]
    assert says in reason
    assert why["alerts"] == []


async def test_each_track_has_a_reason_of_its_own_in_the_language_asked_for(api, tokens):
    record = a_record(language="ar")
    call = a_call(a_track(provinces=["MA-AGD"]), a_track(sectors=["CRAFTS"], min_members=50))
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["language"], why["dir"]) == ("ar", "rtl")
    assert [track["rules"] for track in why["tracks"]] == [["territory"], ["sector", "members"]]
    assert "تيزنيت" in why["tracks"][0]["reasons"][0]
    assert [len(track["reasons"]) for track in why["tracks"]] == [1, 2]


async def test_an_idea_has_one_track_without_a_name(api, tokens):
    record, idea = a_record(region="MA-01", province="MA-HOC"), an_idea()
    await consume(api.sessions, record, published(idea))

    why = await ask_why(api, tokens, idea.idea_id, record)

    (track,) = why["tracks"]
    assert (why["because"], track["track"], track["rules"]) == ("excluded", None, ["territory"])


async def test_corrections_stand_beside_the_first_alert_and_leave_its_reason(api, tokens):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call), extended(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert [(a["edition"], a["kind"]) for a in why["alerts"]] == [
        (0, "opened"),
        (3, "deadline_extended"),
    ]
    assert why["content_version"] == 2
