"""Of two values of a field, the one that is true as of the later day stays."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from registry.register.domain.imports import RegisterImport
from registry.register.models import tables
from registry.register.usecases import cooperatives
from shared.errors import Invalid
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.database import Sessions

from ..builders import a_file, a_row
from .importing import SEALER, imported

pytestmark = pytest.mark.servers
EARLY, MIDDLE, LATE = date(2019, 1, 1), date(2022, 1, 1), date(2026, 1, 1)


async def row_of(sessions: Sessions, court: str) -> Any:
    async with sessions() as session:
        table = tables.cooperative
        return (await session.execute(select(table).where(table.c.court == court))).one()


async def changed(sessions: Sessions, court: str, as_of_on: date, **changes: Any) -> None:
    found = await row_of(sessions, court)
    async with sessions.begin() as session:
        await cooperatives.change_cooperative(
            session,
            SEALER,
            LOCAL_OPERATOR,
            found.id,
            changes=changes,
            contact_changes={},
            as_of_on=as_of_on,
        )


def said(report: RegisterImport) -> list[tuple[str, str]]:
    return sorted((str(each["column"]), str(each["reason"])[:12]) for each in report.problems)


async def test_an_older_file_changes_nothing_and_its_report_lists_what_was_kept(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court)), LATE)
    older = a_row(court=court, members_total="9", capital="5", phone="0600000002")

    report = await imported(sessions, a_file(older), EARLY)

    found = await row_of(sessions, court)
    assert (found.version, found.members_total, found.as_of_on) == (1, 10, LATE)
    assert (report.rows_changed, report.rows_unchanged, report.rows_refused) == (0, 1, 0)
    assert said(report) == [
        ("capital", "not taken: t"),
        ("contact", "not taken: t"),
        ("members_total", "not taken: t"),
    ]


async def test_each_field_has_the_value_of_the_later_day(sessions: Sessions, court: str) -> None:
    await imported(sessions, a_file(a_row(court=court)), EARLY)
    await changed(sessions, court, LATE, sector="BEEKEEPING")

    report = await imported(
        sessions, a_file(a_row(court=court, sector="CRAFTS", members_total="11")), MIDDLE
    )

    found = await row_of(sessions, court)
    assert (found.sector, found.members_total, found.as_of_on) == ("BEEKEEPING", 11, MIDDLE)
    assert {name: each["as_of_on"] for name, each in found.provenance.items()} == {
        "sector": LATE.isoformat()
    }
    assert said(report) == [("sector", "not taken: t")]


async def test_a_file_older_than_the_record_still_replaces_what_is_older_than_the_file(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court, sector="")), EARLY)
    await changed(sessions, court, EARLY, sector="CRAFTS")
    await imported(sessions, a_file(a_row(court=court, sector="CRAFTS")), MIDDLE)
    await changed(sessions, court, LATE, members_total=12)

    report = await imported(sessions, a_file(a_row(court=court, sector="ARGAN")), LATE)

    found = await row_of(sessions, court)
    assert (found.sector, found.members_total) == ("ARGAN", 10)
    assert said(report) == [("members_total", "replaces wha")]


async def test_a_newer_file_that_says_the_same_protects_the_value_from_older_ones(
    sessions: Sessions, court: str
) -> None:
    for day in (EARLY, LATE):
        await imported(sessions, a_file(a_row(court=court)), day)
    confirmed = await row_of(sessions, court)

    report = await imported(sessions, a_file(a_row(court=court, members_total="9")), MIDDLE)

    found = await row_of(sessions, court)
    assert (confirmed.version, confirmed.as_of_on) == (1, LATE)
    assert (found.version, found.members_total, report.rows_unchanged) == (1, 10, 1)


async def test_what_a_file_replaces_of_an_entry_by_hand_is_in_its_report(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court)), EARLY)
    await changed(sessions, court, MIDDLE, members_total=12)

    report = await imported(sessions, a_file(a_row(court=court)), LATE)
    again = await imported(sessions, a_file(a_row(court=court, members_total="14")), LATE)

    assert said(report) == [("members_total", "replaces wha")]
    assert (said(again), again.rows_changed) == ([], 1)


async def test_counts_that_contradict_the_later_ones_are_not_taken(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court, members_total="20")), EARLY)
    await changed(sessions, court, LATE, members_women=15)

    await imported(sessions, a_file(a_row(court=court, members_total="10")), MIDDLE)

    found = await row_of(sessions, court)
    assert (found.members_total, found.members_women) == (20, 15)


async def test_a_cell_that_can_not_be_read_leaves_what_is_known(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court)), EARLY)

    report = await imported(
        sessions, a_file(a_row(court=court, sector="no sector", members_total="11")), LATE
    )

    found = await row_of(sessions, court)
    assert (found.sector, found.members_total) == ("ARGAN", 11)
    assert found.provenance["sector"]["as_of_on"] == EARLY.isoformat()
    assert said(report) == [("sector", "unknown sect")]


async def test_a_change_by_hand_that_is_older_than_the_record_is_refused(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court)), LATE)

    with pytest.raises(Invalid, match="later as_of_on") as refused:
        await changed(sessions, court, EARLY, members_total=11)

    assert [each.field for each in refused.value.problems] == ["members_total"]
    assert (await row_of(sessions, court)).version == 1
