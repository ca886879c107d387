"""The totals of a subject: first alerts by region, sector and verdict, and corrections."""

from __future__ import annotations

import json
import uuid

from sqlalchemy import select

from shared.kernel.data.tables import OutboxRow

from ..builders import a_call, a_record, a_track, extended, opened
from ..commands import consume, decide, follow, register, totals_of


async def test_the_totals_of_a_subject_add_up_by_region_and_sector(api, tokens):
    call = a_call(a_track(regions=["MA-09", "MA-01"]))
    records = [a_record(), a_record(sector="CRAFTS"), a_record(region="MA-01", province="MA-HOC")]
    await consume(api.sessions, *records, opened(call))

    totals = await totals_of(api, tokens, call)

    assert (totals["matched"], totals["alerted"], totals["repeated"]) == (3, 3, 0)
    regions = {t["code"]: (t["label"], t["eligible"]) for t in totals["by_region"]}
    assert regions["MA-09"] == ("Souss-Massa", 2)
    assert {t["code"]: t["eligible"] for t in totals["by_sector"]} == {"ARGAN": 2, "CRAFTS": 1}


async def test_a_subject_that_has_not_arrived_is_not_found(api, tokens):
    answer = await api.http.get(
        f"/subjects/{uuid.uuid4()}/totals", headers=tokens.headers("operator")
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-subject")


async def test_totals_have_labels_in_the_language_asked_for_and_show_unknown_codes(api, tokens):
    call = a_call()
    await register(api, a_record(), a_record(region="MA-99", sector="NEW"))
    await follow(api, opened(call))
    await decide(api, tokens, "held", call.call_id)

    totals = await totals_of(api, tokens, call, language="ar")

    regions = {group["code"]: group["label"] for group in totals["by_region"]}
    assert regions == {"MA-09": "سوس-ماسة", "MA-99": "MA-99"}
    assert {group["code"]: group["label"] for group in totals["by_sector"]}["NEW"] == "NEW"
    assert totals["title"] == "طلب مشاريع"
    assert "الإفراج" in totals["approval"]["next"]


async def test_first_alerts_and_corrections_are_counted_apart(api, tokens):
    call = a_call()
    await register(api, a_record(), a_record(members_youth=None))
    await follow(api, opened(call), extended(call))

    totals = await totals_of(api, tokens, call)

    assert (totals["alerted"], totals["corrected"]) == (2, 2)
    assert totals["by_verdict"] == {"eligible": 2, "unknown": 0}
    async with api.sessions() as session:
        rows = await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))
        completed = [json.loads(row.body) for row in rows]
    assert [(s["alerted"], s["first_alerts"], s["corrections"]) for s in completed] == [
        (2, 2, 0),
        (2, 0, 2),
    ]


async def test_totals_count_corrections_apart_from_first_alerts(api, tokens):
    call = a_call()
    await consume(api.sessions, a_record(), a_record(), opened(call), extended(call))

    totals = await totals_of(api, tokens, call)

    assert (totals["matched"], totals["alerted"]) == (2, 2)
    assert totals["corrections"] == [{"edition": 3, "kind": "deadline_extended", "alerts": 2}]
