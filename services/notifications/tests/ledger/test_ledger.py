"""The ledger of a subject: every recipient with state and reason, and those who were not
alerted."""

from __future__ import annotations

import codecs
import csv
import io
import json
import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, select

from notifications.audience import handlers as audience_handlers
from notifications.audience.models import audience
from notifications.fanout import handlers
from notifications.fanout.usecases import backfill
from notifications.ledger import ledger_csv
from notifications.ledger.queries import LedgerRow
from shared.contracts.criteria import Profile
from shared.contracts.deadline import Deadline
from shared.kernel.data.tables import OutboxRow

from ..builders import a_call, a_record, a_track, cancelled, closed, extended, imported, opened


async def registered(api, *records):
    batch = imported(*records)
    async with api.sessions.begin() as session:
        await audience_handlers.store_imported_cooperatives(batch, session)
    async with api.sessions.begin() as session:
        await backfill.backfill_alerts(session)


async def consume(api, *events):
    for event in events:
        async with api.sessions.begin() as session:
            await handlers.follow_call(event, session)


async def decide(api, tokens, call, state):
    answer = await api.http.put(
        f"/subjects/{call.call_id}/approval",
        json={"state": state, "reason": "a wrong cap"},
        headers=tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text


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


async def table_of(api, tokens, call, **parameters):
    answer = await api.http.get(
        f"/subjects/{call.call_id}/ledger.csv",
        params=parameters,
        headers=tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return rows_in(answer)


def rows_in(answer):
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def totals_of(api, tokens, call, **parameters):
    answer = await api.http.get(
        f"/subjects/{call.call_id}/totals", params=parameters, headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_recipient_has_verdict_tracks_rules_and_unknown_fields(api, tokens):
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 10}))
    sure, unsure = a_record(), a_record(members_youth=None)
    await registered(api, sure, unsure)
    await consume(api, opened(call))

    lines = {line["cooperative_id"]: line for line in await lines_of(api, tokens, call)}

    alerted, asked = lines[str(sure.cooperative_id)], lines[str(unsure.cooperative_id)]
    assert (alerted["verdict"], alerted["state"], alerted["edition"]) == ("eligible", "unread", 0)
    assert alerted["why"][0]["track"] == "Coopératives"
    assert "Tiznit" in alerted["why"][0]["reasons"][0]
    assert (asked["verdict"], asked["unknown_fields"]) == ("unknown", ["members_youth"])


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
        content=a_call(),
        reference_on=date(2026, 11, 24),
        eligible_tracks=eligible,
        unknown_tracks=unknown,
        unknown_fields=(),
    )

    assert ledger_csv.line_of(row, "fr").verdict == verdict


async def test_the_language_of_the_rules_may_be_chosen(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, opened(call))

    (line,) = await lines_of(api, tokens, call, language="ar")

    assert "تيزنيت" in line["why"][0]["reasons"][0]


@pytest.mark.parametrize(("marks", "state"), [(["read"], "read"), (["archived", "read"], "read")])
async def test_the_state_is_what_any_account_of_the_cooperative_did(api, tokens, marks, state):
    call, record, other = a_call(), a_record(), a_record()
    await registered(api, record, other)
    await consume(api, opened(call))
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


async def test_corrections_and_late_ones_say_so(api, tokens):
    call, first, late = a_call(), a_record(), a_record()
    await registered(api, first)
    await consume(api, opened(call))
    await registered(api, late)
    await consume(api, extended(call))

    lines = await lines_of(api, tokens, call)

    seen = {
        (line["cooperative_id"], line["edition"]): (line["is_backfill"], line["corrected"])
        for line in lines
    }
    assert seen == {
        (str(first.cooperative_id), 0): (False, True),
        (str(first.cooperative_id), 3): (False, False),
        (str(late.cooperative_id), 0): (True, True),
        (str(late.cooperative_id), 3): (False, False),
    }


async def test_totals_are_labelled_in_the_language_asked_for_also_of_codes_nobody_knows(
    api, tokens
):
    call = a_call()
    await registered(api, a_record(), a_record(region="MA-99", sector="NEW"))
    await consume(api, opened(call))
    await decide(api, tokens, call, "held")

    totals = await totals_of(api, tokens, call, language="ar")

    regions = {group["code"]: group["label"] for group in totals["by_region"]}
    assert regions == {"MA-09": "سوس-ماسة", "MA-99": "MA-99"}
    assert {group["code"]: group["label"] for group in totals["by_sector"]}["NEW"] == "NEW"
    assert totals["title"] == "طلب مشاريع"
    assert "الإفراج" in totals["approval"]["next"]


async def test_first_alerts_and_corrections_are_counted_apart(api, tokens):
    call = a_call()
    await registered(api, a_record(), a_record(members_youth=None))
    await consume(api, opened(call), extended(call))

    totals = await totals_of(api, tokens, call)

    assert (totals["alerted"], totals["corrected"]) == (2, 2)
    assert totals["by_verdict"] == {"eligible": 2, "unknown": 0}
    async with api.sessions() as session:
        rows = await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))
        said = [json.loads(row.body) for row in rows]
    assert [(s["alerted"], s["first_alerts"], s["corrections"]) for s in said] == [
        (2, 2, 0),
        (2, 0, 2),
    ]


@pytest.mark.parametrize("state", ["held", "stopped"])
async def test_who_matches_and_is_kept_back_is_listed_with_the_reason(api, tokens, state):
    call, alerted, waiting = a_call(), a_record(), a_record()
    await registered(api, alerted)
    await consume(api, opened(call))
    await decide(api, tokens, call, state)
    await registered(api, waiting, a_record(province="MA-AGD"))

    lines = await lines_of(api, tokens, call, limit=1)
    totals = await totals_of(api, tokens, call)

    assert [line["cooperative_id"] for line in lines] == [
        str(alerted.cooperative_id),
        str(waiting.cooperative_id),
    ]
    without_fanout = lines[1]
    assert (without_fanout["state"], without_fanout["alerted_at"], without_fanout["edition"]) == (
        state,
        None,
        None,
    )
    assert (without_fanout["verdict"], without_fanout["not_alerted_because"]) == (
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
async def test_of_what_is_over_nobody_is_kept_back(api, tokens, state, end):
    past = Deadline(at=datetime.now(UTC) - timedelta(minutes=1), shown="hier")
    call = a_call(deadline=past) if end == "deadline" else a_call()
    await decide(api, tokens, call, state)
    await registered(api, a_record(), a_record())
    await consume(api, opened(call), *ENDS[end](call))

    lines = await lines_of(api, tokens, call)
    totals = await totals_of(api, tokens, call)

    assert lines == []
    assert (totals["not_alerted"], totals["approval"]["state"]) == (0, state)


async def test_after_a_release_nobody_is_kept_back(api, tokens):
    call = a_call()
    await decide(api, tokens, call, "held")
    await registered(api, a_record(), a_record())
    await consume(api, opened(call))
    before = await totals_of(api, tokens, call)

    await decide(api, tokens, call, "released")

    after = await totals_of(api, tokens, call)
    assert (before["alerted"], before["not_alerted"]) == (0, 2)
    assert (after["alerted"], after["not_alerted"], after["approval"]) == (2, 0, None)
    assert all(line["alerted_at"] for line in await lines_of(api, tokens, call))


async def test_a_name_in_arabic_alone_is_shown_in_pages_and_table(api, tokens):
    call, record = a_call(), a_record(name_fr=None)
    await registered(api, record)
    await consume(api, opened(call))
    await decide(api, tokens, call, "held")
    await registered(api, a_record(name_fr=None))

    lines = await lines_of(api, tokens, call)
    rows = await table_of(api, tokens, call)

    for alerted, waiting in (lines, rows):
        assert alerted["name_ar"] == waiting["name_ar"] == "تعاونية تيفاوين"


async def test_a_spreadsheet_sees_the_encoding_and_separates_tracks_and_rules(api, tokens):
    wide = a_track(provinces=["MA-TIZ"], sectors=["ARGAN"])
    call = a_call(wide, a_track(sectors=["CRAFTS"]), a_track(min_members=5))
    await registered(api, a_record())
    await consume(api, opened(call))

    answer = await read_by(api, tokens.headers("operator"), call, "ledger.csv")

    assert answer.content.startswith(codecs.BOM_UTF8 + b"cooperative_id,")
    first, second = rows_in(answer)[0]["rules"].split(" | ")
    assert first.startswith("Coopératives: Votre coopérative est dans la province de Tiznit")
    assert " ; Secteur : Argane, condition remplie ; " in first
    assert second.startswith("Coopératives: Situation légale : immatriculée")


@pytest.mark.parametrize("place", ["ledger", "ledger.csv"])
async def test_reasons_are_worked_out_beside_the_event_loop(api, tokens, monkeypatch, place):
    call, threads, line_of = a_call(), set(), ledger_csv.line_of
    await registered(api, a_record())
    await consume(api, opened(call))

    def noting(*given):
        threads.add(threading.current_thread())
        return line_of(*given)

    monkeypatch.setattr(ledger_csv, "line_of", noting)

    await read_by(api, tokens.headers("operator"), call, place)

    assert threads
    assert threading.current_thread() not in threads


async def test_recipients_stay_in_the_ledger_while_the_audience_is_rebuilt(api, tokens):
    call, record = a_call(), a_record()
    await registered(api, record)
    await consume(api, opened(call))
    async with api.sessions.begin() as session:
        await session.execute(delete(audience))

    (line,) = await lines_of(api, tokens, call)

    assert line["cooperative_id"] == str(record.cooperative_id)
    assert (line["name_fr"], line["province"]) == (None, "MA-TIZ")


async def test_pages_and_table_have_the_same_rows(api, tokens):
    call = a_call()
    await registered(api, *(a_record() for _ in range(5)))
    await consume(api, opened(call), extended(call))
    await decide(api, tokens, call, "held")
    await registered(api, a_record(name_fr="=danger"))

    pages = await lines_of(api, tokens, call, limit=2)
    rows = await table_of(api, tokens, call)

    assert [(r["cooperative_id"], r["edition"]) for r in rows] == [
        (p["cooperative_id"], "" if p["edition"] is None else str(p["edition"])) for p in pages
    ]
    assert len(rows) == 11
    assert (rows[-1]["name_fr"], rows[-1]["state"]) == ("'=danger", "held")
    assert "Tiznit" in rows[0]["rules"]


@pytest.mark.parametrize("after", ["x", "WzFd", "WzAsIngiLDBd"])
async def test_a_made_up_place_is_refused(api, tokens, after):
    call = a_call()
    await consume(api, opened(call))

    answer = await api.http.get(
        f"/subjects/{call.call_id}/ledger",
        params={"after": after},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def read_by(api, headers, call, place):
    answer = await api.http.get(f"/subjects/{call.call_id}/{place}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_delegate_reads_of_the_cooperatives_of_the_own_provinces_alone(api, tokens):
    call = a_call(a_track(regions=["MA-09"]))
    own, other, unplaced = a_record(), a_record(province="MA-AGD"), a_record(province=None)
    await registered(api, own, other, unplaced)
    await consume(api, opened(call), extended(call))
    await decide(api, tokens, call, "held")
    waiting = a_record(members_youth=None)
    await registered(api, waiting, a_record(province="MA-AGD"))
    delegate = tokens.headers("delegate", provinces=["MA-TIZ", "MA-TAT"])

    page, table, alerted, totals = [
        await read_by(api, delegate, call, place)
        for place in ("ledger", "ledger.csv", "recipients", "totals")
    ]

    seen = [(line["cooperative_id"], line["edition"]) for line in page.json()["items"]]
    first = str(own.cooperative_id)
    assert seen == [(first, 0), (first, 3)]
    following = {"after": page.json()["next"]}
    rest = await api.http.get(
        f"/subjects/{call.call_id}/ledger", params=following, headers=delegate
    )
    assert [line["cooperative_id"] for line in rest.json()["items"]] == [
        str(waiting.cooperative_id)
    ]
    rows = rows_in(table)
    assert {row["cooperative_id"] for row in rows} == {first, str(waiting.cooperative_id)}
    assert [each["cooperative_id"] for each in alerted.json()["items"]] == [first]
    counts = totals.json()
    assert counts["provinces"] == ["MA-TAT", "MA-TIZ"]
    assert [counts[name] for name in ("matched", "alerted", "eligible", "unknown")] == [1, 1, 1, 0]
    assert counts["by_verdict"] == {"eligible": 1, "unknown": 0}
    assert (counts["corrected"], counts["not_alerted"]) == (1, 1)
    assert [(g["code"], g["eligible"]) for g in counts["by_region"]] == [("MA-09", 1)]


async def test_a_cooperative_that_moved_is_read_by_the_delegate_of_where_it_is_today(api, tokens):
    call, record = a_call(), a_record()
    await registered(api, record)
    await consume(api, opened(call))
    await registered(api, record.model_copy(update={"version": 2, "province": "MA-AGD"}))

    found = [
        await read_by(api, tokens.headers("delegate", provinces=[province]), call, "ledger")
        for province in ("MA-TIZ", "MA-AGD")
    ]

    lines = [[line["province"] for line in page.json()["items"]] for page in found]
    assert lines == [[], ["MA-TIZ"]]


async def test_a_delegate_without_provinces_reads_nothing_and_an_operator_everything(api, tokens):
    call = a_call()
    await registered(api, a_record())
    await consume(api, opened(call))

    none = await read_by(api, tokens.headers("delegate"), call, "totals")
    everything = await read_by(api, tokens.headers("operator", "delegate"), call, "totals")

    assert (none.json()["provinces"], none.json()["alerted"]) == ([], 0)
    assert (everything.json()["provinces"], everything.json()["alerted"]) == (None, 1)
