"""The ledger of a subject as a CSV table, read in batches."""

from __future__ import annotations

import uuid

import pytest

from notifications.ledger import queries
from notifications.ledger.ledger_csv import HEADER

from ..builders import a_call, a_record, a_track, extended, opened
from ..commands import consume, read_ledger


async def test_the_ledger_has_one_row_per_alert_with_the_profile_of_that_time(api, tokens):
    sure, unsure = a_record(), a_record(sector=None, name_fr="Coopérative, dite « Amal »")
    call = a_call(a_track(sectors=["ARGAN"]))
    await consume(api.sessions, sure, unsure, opened(call), extended(call))
    await consume(api.sessions, sure.model_copy(update={"version": 2, "province": "MA-AGD"}))

    rows = await read_ledger(api, tokens, call.call_id)

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
    (incomplete, _) = (row for row in rows if row["cooperative_id"] == str(unsure.cooperative_id))
    assert (incomplete["name_fr"], incomplete["verdict"], incomplete["unknown_fields"]) == (
        "Coopérative, dite « Amal »",
        "unknown",
        "sector",
    )


@pytest.mark.parametrize("name", ["=HYPERLINK(A1)", "+212", "-2+3", "@SUM(A1)"])
async def test_a_name_never_becomes_a_formula(api, tokens, name):
    record, call = a_record(name_fr=name), a_call()
    await consume(api.sessions, record, opened(call))

    (row,) = await read_ledger(api, tokens, call.call_id)

    assert row["name_fr"] == f"'{name}"


async def test_batches_of_the_ledger_follow_each_other_without_gap_or_repeat(api):
    call, records = a_call(), [a_record() for _ in range(5)]
    await consume(api.sessions, *records, opened(call), extended(call))

    batches = [batch async for batch in queries.ledger_batches(api.sessions, call.call_id, size=3)]

    keys = [(row.cooperative_id, row.edition) for batch in batches for row in batch]
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert keys == sorted({(r.cooperative_id, edition) for r in records for edition in (0, 3)})


@pytest.mark.parametrize("role", ["cooperative", "partner", "holder", "reviewer"])
async def test_the_ledger_is_for_operators_and_delegates(api, tokens, role):
    answer = await api.http.get(
        f"/subjects/{uuid.uuid4()}/ledger.csv", headers=tokens.headers(role)
    )

    assert answer.status_code == 403
