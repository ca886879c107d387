"""What delegates read of a subject: the cooperatives that are in their provinces today."""

from __future__ import annotations

from ..builders import a_call, a_record, a_track, extended, opened
from ..commands import decide, follow, read_by, register, rows_in


async def test_a_delegate_reads_only_of_cooperatives_in_its_own_provinces(api, tokens):
    call = a_call(a_track(regions=["MA-09"]))
    own, other, unplaced = a_record(), a_record(province="MA-AGD"), a_record(province=None)
    await register(api, own, other, unplaced)
    await follow(api, opened(call), extended(call))
    await decide(api, tokens, "held", call.call_id)
    waiting = a_record(members_youth=None)
    await register(api, waiting, a_record(province="MA-AGD"))
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
    await register(api, record)
    await follow(api, opened(call))
    await register(api, record.model_copy(update={"version": 2, "province": "MA-AGD"}))

    found = [
        await read_by(api, tokens.headers("delegate", provinces=[province]), call, "ledger")
        for province in ("MA-TIZ", "MA-AGD")
    ]

    lines = [[line["province"] for line in page.json()["items"]] for page in found]
    assert lines == [[], ["MA-TIZ"]]


async def test_a_delegate_without_provinces_reads_nothing_and_an_operator_everything(api, tokens):
    call = a_call()
    await register(api, a_record())
    await follow(api, opened(call))

    none = await read_by(api, tokens.headers("delegate"), call, "totals")
    everything = await read_by(api, tokens.headers("operator", "delegate"), call, "totals")

    assert (none.json()["provinces"], none.json()["alerted"]) == ([], 0)
    assert (everything.json()["provinces"], everything.json()["alerted"]) == (None, 1)
