"""The ledger of a subject: every alert with state and reason, and who is kept back."""

from __future__ import annotations

import codecs
import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete

from notifications.audience.models import audience
from notifications.fanout.domain.contents import Content
from notifications.fanout.handlers import announcement_of_call
from notifications.ledger import ledger_csv
from notifications.ledger.queries import LedgerRow
from shared.contracts.criteria import Profile
from shared.contracts.deadline import Deadline

from ..builders import a_call, a_record, a_track, cancelled, closed, extended, opened
from ..commands import decide, follow, read_by, read_ledger, register, rows_in, totals_of


async def lines_of(api, tokens, call, limit=200, **parameters):
    """Every page of the ledger, one after the other."""
    lines, after = [], {}
    while True:
        answer = await api.http.get(
            f"/subjects/{call.call_id}/ledger",
            params={"limit": limit, **after, **parameters},
            headers=tokens.headers("operator"),
        )
        assert answer.status_code == 200, answer.text
        page = answer.json()
        lines += page["items"]
        if page["next"] is None:
            return lines
        after = {"after": page["next"]}


async def test_a_recipient_has_verdict_tracks_rules_and_unknown_fields(api, tokens):
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 10}))
    sure, unsure = a_record(), a_record(members_youth=None)
    await register(api, sure, unsure)
    await follow(api, opened(call))

    lines = {line["cooperative_id"]: line for line in await lines_of(api, tokens, call)}

    complete, incomplete = (lines[str(each.cooperative_id)] for each in (sure, unsure))
    assert (complete["verdict"], complete["state"], complete["edition"]) == (
        "eligible",
        "unread",
        0,
    )
    assert complete["why"][0]["track"] == "Coopératives"
    assert "Tiznit" in complete["why"][0]["reasons"][0]
    assert (incomplete["verdict"], incomplete["unknown_fields"]) == ("unknown", ["members_youth"])


@pytest.mark.parametrize(
    ("eligible", "unknown", "verdict"),
    [(1, 0, "eligible"), (1, 2, "eligible"), (0, 2, "unknown"), (0, 0, "ineligible")],
)
def test_the_verdict_is_that_of_the_best_track(eligible, unknown, verdict):
    row = LedgerRow(
        cooperative_id=uuid.uuid4(),
        name_fr=None,
        name_ar=None,
        profile=Profile(),
        content=Content(announcement_of_call(a_call())),
        reference_on=date(2026, 11, 24),
        eligible_tracks=eligible,
        unknown_tracks=unknown,
        unknown_fields=(),
    )

    assert ledger_csv.line_of(row, "fr").verdict == verdict


async def test_the_language_of_the_rules_may_be_chosen(api, tokens):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))

    (line,) = await lines_of(api, tokens, call, language="ar")

    assert "تيزنيت" in line["why"][0]["reasons"][0]


@pytest.mark.parametrize(("marks", "state"), [(["read"], "read"), (["archived", "read"], "read")])
async def test_the_state_is_the_mark_of_any_account_of_the_cooperative(api, tokens, marks, state):
    call, record, other = a_call(), a_record(), a_record()
    await register(api, record, other)
    await follow(api, opened(call))
    reader = tokens.headers("operator")
    path = f"/cooperatives/{record.cooperative_id}/alerts"
    (alert,) = (await api.http.get(path, headers=reader)).json()["items"]
    for mark in marks:
        await api.http.put(
            f"{path}/{alert['number']}/state",
            json={"state": mark},
            headers=tokens.headers("cooperative", cooperatives=[record.cooperative_id]),
        )

    lines = {line["cooperative_id"]: line["state"] for line in await lines_of(api, tokens, call)}

    assert lines == {str(record.cooperative_id): state, str(other.cooperative_id): "unread"}


async def test_corrections_and_backfilled_alerts_are_marked(api, tokens):
    call, first, newcomer = a_call(), a_record(), a_record()
    await register(api, first)
    await follow(api, opened(call))
    await register(api, newcomer)
    await follow(api, extended(call))

    lines = await lines_of(api, tokens, call)

    seen = {
        (line["cooperative_id"], line["edition"]): (line["is_backfill"], line["corrected"])
        for line in lines
    }
    assert seen == {
        (str(first.cooperative_id), 0): (False, True),
        (str(first.cooperative_id), 3): (False, False),
        (str(newcomer.cooperative_id), 0): (True, True),
        (str(newcomer.cooperative_id), 3): (False, False),
    }


@pytest.mark.parametrize("state", ["held", "stopped"])
async def test_who_matches_and_is_kept_back_is_listed_with_the_reason(api, tokens, state):
    call, alerted, waiting = a_call(), a_record(), a_record()
    await register(api, alerted)
    await follow(api, opened(call))
    await decide(api, tokens, state, call.call_id)
    await register(api, waiting, a_record(province="MA-AGD"))

    lines = await lines_of(api, tokens, call, limit=1)
    totals = await totals_of(api, tokens, call)

    assert [line["cooperative_id"] for line in lines] == [
        str(alerted.cooperative_id),
        str(waiting.cooperative_id),
    ]
    kept_back = lines[1]
    assert (kept_back["state"], kept_back["alerted_at"], kept_back["edition"]) == (
        state,
        None,
        None,
    )
    assert (kept_back["verdict"], kept_back["not_alerted_because"]) == (
        "eligible",
        "a wrong cap",
    )
    assert (totals["alerted"], totals["not_alerted"], totals["approval"]["state"]) == (1, 1, state)


ENDS = {
    "closed": lambda call: [closed(call)],
    "cancelled": lambda call: [cancelled(call)],
    "deadline": lambda call: [],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("state", ["held", "stopped"])
async def test_nobody_is_kept_back_of_a_subject_that_has_ended(api, tokens, state, end):
    past = Deadline(at=datetime.now(UTC) - timedelta(minutes=1), shown="hier")
    call = a_call(deadline=past) if end == "deadline" else a_call()
    await decide(api, tokens, state, call.call_id)
    await register(api, a_record(), a_record())
    await follow(api, opened(call), *ENDS[end](call))

    lines = await lines_of(api, tokens, call)
    totals = await totals_of(api, tokens, call)

    assert lines == []
    assert (totals["not_alerted"], totals["approval"]["state"]) == (0, state)


async def test_after_a_release_nobody_is_kept_back(api, tokens):
    call = a_call()
    await decide(api, tokens, "held", call.call_id)
    await register(api, a_record(), a_record())
    await follow(api, opened(call))
    before = await totals_of(api, tokens, call)

    await decide(api, tokens, "released", call.call_id)

    after = await totals_of(api, tokens, call)
    assert (before["alerted"], before["not_alerted"]) == (0, 2)
    assert (after["alerted"], after["not_alerted"], after["approval"]) == (2, 0, None)
    assert all(line["alerted_at"] for line in await lines_of(api, tokens, call))


async def test_a_name_in_arabic_alone_is_shown_in_pages_and_table(api, tokens):
    call, record = a_call(), a_record(name_fr=None)
    await register(api, record)
    await follow(api, opened(call))
    await decide(api, tokens, "held", call.call_id)
    await register(api, a_record(name_fr=None))

    lines = await lines_of(api, tokens, call)
    rows = await read_ledger(api, tokens, call.call_id)

    for alerted, waiting in (lines, rows):
        assert alerted["name_ar"] == waiting["name_ar"] == "تعاونية تيفاوين"


async def test_the_table_names_its_encoding_and_separates_tracks_and_rules(api, tokens):
    wide = a_track(provinces=["MA-TIZ"], sectors=["ARGAN"])
    call = a_call(wide, a_track(sectors=["CRAFTS"]), a_track(min_members=5))
    await register(api, a_record())
    await follow(api, opened(call))

    answer = await read_by(api, tokens.headers("operator"), call, "ledger.csv")

    assert answer.content.startswith(codecs.BOM_UTF8 + b"cooperative_id,")
    first, second = rows_in(answer)[0]["rules"].split(" | ")
    assert first.startswith("Coopératives: Votre coopérative est dans la province de Tiznit")
    assert " ; Secteur : Argane, condition remplie ; " in first
    assert second.startswith("Coopératives: Situation légale : immatriculée")


@pytest.mark.parametrize("place", ["ledger", "ledger.csv"])
async def test_reasons_are_worked_out_beside_the_event_loop(api, tokens, monkeypatch, place):
    call, threads, line_of = a_call(), set(), ledger_csv.line_of
    await register(api, a_record())
    await follow(api, opened(call))

    def noting(*given):
        threads.add(threading.current_thread())
        return line_of(*given)

    monkeypatch.setattr(ledger_csv, "line_of", noting)

    await read_by(api, tokens.headers("operator"), call, place)

    assert threads
    assert threading.current_thread() not in threads


async def test_recipients_stay_in_the_ledger_while_the_audience_is_rebuilt(api, tokens):
    call, record = a_call(), a_record()
    await register(api, record)
    await follow(api, opened(call))
    async with api.sessions.begin() as session:
        await session.execute(delete(audience))

    (line,) = await lines_of(api, tokens, call)

    assert line["cooperative_id"] == str(record.cooperative_id)
    assert (line["name_fr"], line["province"]) == (None, "MA-TIZ")


async def test_pages_and_table_have_the_same_rows(api, tokens):
    call = a_call()
    await register(api, *(a_record() for _ in range(5)))
    await follow(api, opened(call), extended(call))
    await decide(api, tokens, "held", call.call_id)
    await register(api, a_record(name_fr="=danger"))

    pages = await lines_of(api, tokens, call, limit=2)
    rows = await read_ledger(api, tokens, call.call_id)

    assert [(r["cooperative_id"], r["edition"]) for r in rows] == [
        (p["cooperative_id"], "" if p["edition"] is None else str(p["edition"])) for p in pages
    ]
    assert len(rows) == 11
    assert (rows[-1]["name_fr"], rows[-1]["state"]) == ("'=danger", "held")
    assert "Tiznit" in rows[0]["rules"]


@pytest.mark.parametrize("after", ["x", "WzFd", "WzAsIngiLDBd"])
async def test_a_made_up_cursor_is_refused(api, tokens, after):
    call = a_call()
    await follow(api, opened(call))

    answer = await api.http.get(
        f"/subjects/{call.call_id}/ledger",
        params={"after": after},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")
