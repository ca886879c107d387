"""While a snapshot fills an audience anew, counts that would be too small are not given."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.audience import handlers

from ..builders import a_call, a_record, imported, opened
from ..commands import follow

pytestmark = pytest.mark.servers


async def arrives(api: Any, *records: Any, remaining: int | None) -> None:
    """A batch of these records, of a snapshot with so many after it; None: of an import."""
    event = imported(*records).model_copy(update={"remaining": remaining})
    async with api.sessions.begin() as session:
        await handlers.store_imported_cooperatives(event, session)


async def preview(api: Any, tokens: Any) -> Any:
    return await api.http.post(
        "/previews",
        json={"tracks": [{"criteria": {"provinces": ["MA-TIZ"]}}]},
        headers=tokens.headers("operator"),
    )


async def test_a_preview_waits_for_the_last_batch_of_a_snapshot(api, tokens):
    await arrives(api, a_record(), a_record(), remaining=3)
    during = await preview(api, tokens)
    await arrives(api, a_record(), a_record(), a_record(), remaining=0)
    after = await preview(api, tokens)

    assert (during.status_code, during.json()["code"]) == (503, "audience-incomplete")
    assert int(during.headers["retry-after"]) > 0
    assert (after.status_code, after.json()["matched"]) == (200, 5)


async def test_totals_wait_too_and_the_progress_is_shown(api, tokens):
    call = a_call()
    await follow(api, opened(call))
    await arrives(api, a_record(), remaining=7)
    operator = tokens.headers("operator")

    totals = await api.http.get(f"/subjects/{call.call_id}/totals", headers=operator)
    audience = await api.http.get("/audience", headers=operator)

    assert totals.status_code == 503
    assert (audience.status_code, audience.json()["cooperatives"]) == (200, 1)


async def test_a_snapshot_of_what_is_there_already_stops_no_preview(api, tokens):
    known = [a_record() for _ in range(6)]
    await arrives(api, *known, remaining=None)

    await arrives(api, *known[:2], remaining=4)

    assert (await preview(api, tokens)).status_code == 200


async def test_a_batch_that_the_last_one_overtook_begins_nothing_anew(api, tokens):
    first, second, third = ([a_record(), a_record()] for _ in range(3))
    await arrives(api, *first, remaining=4)
    await arrives(api, *third, remaining=0)
    await arrives(api, *second, remaining=2)

    assert (await preview(api, tokens)).status_code == 200
