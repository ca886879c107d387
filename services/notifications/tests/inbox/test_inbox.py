"""Inboxes over HTTP: alerts in the language of the cooperative, with reasons, changes and marks."""

from __future__ import annotations

import pytest

from shared.contracts.base import Localized

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    cancelled,
    extended,
    opened,
    published,
    updated,
)
from ..commands import ask_why, consume, inbox


async def test_an_alert_comes_in_the_language_of_the_cooperative_with_its_reasons(api, tokens):
    record = a_record(language="ar")
    await consume(api.sessions, record, opened(a_call()))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert (alert["language"], alert["dir"], alert["title"]) == ("ar", "rtl", "طلب مشاريع")
    assert alert["why"][0]["track"] == "التعاونيات"
    assert "تيزنيت" in alert["why"][0]["reasons"][0]


async def test_another_language_may_be_asked_for(api, tokens):
    record = a_record(language="ar")
    await consume(api.sessions, record, opened(a_call()))

    (alert,) = (await inbox(api, tokens, record, language="fr"))["items"]

    assert (alert["dir"], alert["title"]) == ("ltr", "Appel à projets")
    assert "Tiznit" in alert["why"][0]["reasons"][0]


@pytest.mark.parametrize(
    ("language", "offer", "line"),
    [
        (
            "fr",
            "Subvention : jusqu'à 300 000 DH, 70 % du coût au plus, apport d'au moins 30 %",
            "Appel à projets : {offer} – date limite : 1 septembre 2027 à 16 h",
        ),
        (
            "ar",
            "منحة: في حدود 300.000 درهم، 70 % من التكلفة على الأكثر، مساهمة ذاتية لا تقل عن 30 %",
            "طلب مشاريع: {offer} – آخر أجل: 1 septembre 2027 à 16 h",
        ),
    ],
)
async def test_an_alert_of_a_call_says_what_it_gives(api, tokens, language, offer, line):
    record, money = a_record(), {"max_rate_percent": 70, "min_own_share_percent": 30}
    call = a_call(a_track(provinces=["MA-TIZ"]).model_copy(update=money))
    await consume(api.sessions, record, opened(call))

    (alert,) = (await inbox(api, tokens, record, language=language))["items"]
    why = await ask_why(api, tokens, call.call_id, record, language=language)

    assert alert["offer"] == alert["why"][0]["offer"] == why["tracks"][0]["offer"] == offer
    assert alert["short_text"] == line.format(offer=offer)


async def test_an_alert_says_what_the_tracks_for_its_reader_give_and_no_other(api, tokens):
    record = a_record()
    large, small, elsewhere = (
        a_track(provinces=[province]).model_copy(
            update={"name": Localized(fr=name, ar=name), "max_grant_centimes": centimes}
        )
        for province, name, centimes in (
            ("MA-TIZ", "Unions", 50_000_000),
            ("MA-TIZ", "Coopératives", 10_000_000),
            ("MA-AGD", "Agadir", 90_000_000),
        )
    )
    await consume(api.sessions, record, opened(a_call(large, small, elsewhere, deadline=None)))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert alert["offer"] == (
        "Unions : Subvention : jusqu'à 500 000 DH ; Coopératives : Subvention : jusqu'à 100 000 DH"
    )
    assert alert["short_text"] == f"Appel à projets : {alert['offer']}"


async def test_the_alert_of_a_cancelled_call_offers_nothing_in_its_line(api, tokens):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call), cancelled(call))

    newest, _ = (await inbox(api, tokens, record))["items"]

    assert newest["short_text"] == "Appel à projets : annulé"


async def test_an_idea_has_a_line_without_an_offer(api, tokens):
    record = a_record()
    await consume(api.sessions, record, published(an_idea()))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert (alert["offer"], alert["short_text"]) == (None, "Huile d'argan")


async def test_an_unsure_alert_names_the_field_to_complete(api, tokens):
    record = a_record(members_youth=None)
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 50}))
    await consume(api.sessions, record, opened(call))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert alert["verdict"] == "unknown"
    (track,) = alert["why"]
    assert track["to_complete"] == ["members_youth"]
    assert "nombre de jeunes" in track["how_to_complete"]


async def test_a_correction_shows_the_old_and_the_new_value(api, tokens):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call), extended(call))

    newest, first = (await inbox(api, tokens, record))["items"]

    (change,) = newest["changes"]
    assert newest["kind"] == "deadline_extended"
    assert (change["field"], change["before"]["shown"]) == ("deadline", "1 septembre 2027 à 16 h")
    assert change["after"]["shown"] == "1 octobre 2027 à 16 h"
    assert (change["label"], change["before_shown"]) == ("Date limite", "1 septembre 2027 à 16 h")
    assert (newest["reason"], first["reason"]) == ("à la demande des coopératives", None)
    assert (first["kind"], first["changes"]) == ("opened", [])


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "fr",
            "Coopératives (jusqu'à 500 000 DH ; provinces et préfectures : Tiznit ;"
            " situation légale : immatriculée ; femmes : au moins 30 %)",
        ),
        (
            "ar",
            "التعاونيات (في حدود 500.000 درهم؛ العمالات والأقاليم: تيزنيت؛"
            " الوضعية القانونية: مسجلة؛ النساء: 30 % على الأقل)",
        ),
    ],
)
async def test_changed_tracks_are_shown_in_words(api, tokens, language, words):
    record, call = a_record(), a_call()
    track = a_track(provinces=["MA-TIZ"], min_share_women={"percent": 30})
    wider = track.model_copy(update={"max_grant_centimes": 50_000_000})
    await consume(api.sessions, record, opened(call), updated(call, tracks=(wider,)))

    newest, _ = (await inbox(api, tokens, record, language=language))["items"]

    (change,) = newest["changes"]
    assert (change["field"], change["after_shown"]) == ("tracks", words)


async def test_a_correction_is_about_its_own_tracks_and_profile(api, tokens):
    """Tracks may be put in another order, and records change between two alerts."""
    record = a_record()
    elsewhere, here = a_track(provinces=["MA-AGD"]), a_track(provinces=["MA-TIZ"])
    call = a_call(here)
    await consume(api.sessions, record, opened(call), updated(call, tracks=(elsewhere, here)))

    newest, _ = (await inbox(api, tokens, record))["items"]

    (track,) = newest["why"]
    assert (newest["verdict"], track["verdict"]) == ("eligible", "eligible")
    assert "Tiznit" in track["reasons"][0]


async def test_whoever_does_not_match_any_more_reads_the_rule_that_excludes_it(api, tokens):
    record, call = a_record(), a_call()
    moved = updated(call, tracks=(a_track(provinces=["MA-AGD"]),))
    await consume(api.sessions, record, opened(call), moved, extended(moved.call))

    for alert in (await inbox(api, tokens, record))["items"][:2]:
        assert alert["verdict"] == "ineligible"
        (track,) = alert["why"]
        assert track["verdict"] == "ineligible"
        assert "Agadir" in track["reasons"][0]


async def test_the_reasons_of_an_alert_stay_after_the_record_changed(api, tokens):
    record = a_record()
    await consume(api.sessions, record, opened(a_call()))
    await consume(api.sessions, record.model_copy(update={"version": 2, "province": "MA-AGD"}))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert "Tiznit" in alert["why"][0]["reasons"][0]


async def test_pages_follow_each_other_without_gap_or_repeat(api, tokens):
    record = a_record()
    await consume(api.sessions, record, *(opened(a_call()) for _ in range(5)))

    seen, after = [], None
    while True:
        page = await inbox(api, tokens, record, limit=2, **({"after": after} if after else {}))
        seen += [alert["number"] for alert in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)


async def test_each_account_has_read_marks_of_its_own(api, tokens):
    record = a_record()
    reader, other = (
        tokens.headers("cooperative", cooperatives=[record.cooperative_id]) for _ in range(2)
    )
    await consume(api.sessions, record, opened(a_call()))
    (alert,) = (await inbox(api, tokens, record, reader))["items"]
    path = f"/cooperatives/{record.cooperative_id}/alerts/{alert['number']}/state"

    answer = await api.http.put(path, json={"state": "read"}, headers=reader)

    assert answer.status_code == 204
    assert (await inbox(api, tokens, record, reader, state="unread"))["items"] == []
    assert len((await inbox(api, tokens, record, other, state="unread"))["items"]) == 1


async def test_the_audit_says_that_a_delegate_marked_an_alert_for_the_cooperative(api, tokens):
    record = a_record()
    await consume(api.sessions, record, opened(a_call()))
    (alert,) = (await inbox(api, tokens, record))["items"]
    itself = tokens.headers("cooperative", cooperatives=[record.cooperative_id])
    delegate = tokens.headers("delegate", provinces=["MA-TIZ"])
    path = f"/cooperatives/{record.cooperative_id}/alerts/{alert['number']}/state"

    for headers in (delegate, itself):
        assert (await api.http.put(path, json={"state": "read"}, headers=headers)).is_success

    seen = await api.http.get(f"/audit/{record.cooperative_id}", headers=itself)
    assert [(each["actor_roles"], each["on_behalf_of"]) for each in seen.json()["items"]] == [
        (["cooperative"], None),
        (["delegate"], str(record.cooperative_id)),
    ]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/cooperatives/{id}/alerts", "bm8"),
        ("/cooperatives/{id}/alerts", "WyIxIl0"),
        ("/subjects/{subject}/recipients", "WzFd"),
    ],
)
async def test_a_made_up_cursor_is_refused(api, tokens, path, parameter):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call))

    answer = await api.http.get(
        path.format(id=record.cooperative_id, subject=call.call_id),
        params={"after": parameter},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_marking_an_alert_that_is_not_there_is_refused(api, tokens):
    record = a_record()
    await consume(api.sessions, record)

    answer = await api.http.put(
        f"/cooperatives/{record.cooperative_id}/alerts/7/state",
        json={"state": "read"},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-alert")
