"""Importing register files into a real database: what is written, published and audited."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from registry.register import queries
from registry.register.domain.cooperative import Entry
from registry.register.domain.imports import ImportState
from registry.register.models import rows as cooperative_rows
from registry.register.models import statements, tables
from registry.register.register_file import reader
from registry.register.register_file.decoding import FileRefused
from registry.register.usecases import cooperatives
from registry.register.usecases.imports import delete_problems, import_register
from registry.snapshots import cooperatives_after
from shared.contracts.base import MOST_EVENT_BYTES, now
from shared.contracts.registry import BATCH_LIMIT
from shared.errors import Problem
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import MissingRole, Principal, Role
from shared.kernel.data.database import Sessions
from shared.kernel.messaging import outbox
from shared.kernel.messaging.replay.sources import Page

from ..builders import a_file, a_row, many_rows
from .importing import SEALER, audited, imported, published, published_bodies, stored

pytestmark = pytest.mark.servers


async def test_good_rows_go_in_while_wrong_ones_are_reported(
    sessions: Sessions, court: str
) -> None:
    rows = [*many_rows(3, court), a_row(court=court, local_register_no="4", province="Nowhere")]

    report = await imported(sessions, a_file(*rows))

    assert (report.rows_read, report.rows_added, report.rows_refused) == (4, 3, 1)
    assert report.state is ImportState.FINISHED
    assert [(each["line"], each["column"]) for each in report.problems] == [(5, "province")]
    assert await stored(sessions, court) == 3


async def test_what_was_wrong_in_a_file_is_deleted_after_some_days_and_the_counts_stay(
    sessions: Sessions, court: str
) -> None:
    wrong = a_file(a_row(court=court, province="Nowhere"))
    old, new = await imported(sessions, wrong), await imported(sessions, wrong)

    async with sessions.begin() as session:
        table = tables.register_import
        this = update(table).where(table.c.id == old.id)
        await session.execute(this.values(started_at=now() - timedelta(days=31)))
        erased = await delete_problems(session, 30)

    async with sessions() as session:
        found = [await queries.find_import(session, each.id) for each in (old, new)]
    assert erased == 1
    assert [len(each.problems) for each in found] == [0, 1]
    assert [each.rows_refused for each in found] == [1, 1]


async def test_a_batch_is_published_once_with_at_most_500_cooperatives(
    sessions: Sessions, court: str
) -> None:
    report = await imported(sessions, a_file(*many_rows(1_050, court)))

    sizes = [len(event.cooperatives) for event in await published(sessions, report)]
    assert (sizes, report.events) == ([500, 500, 50], 3)


LONG_NAMES = {"name_fr": "é" * 480, "name_ar": "ت" * 480}
"""Of 500 such cooperatives one event would be larger than consumers take."""


async def test_a_batch_whose_names_are_too_long_for_one_event_is_published_in_several(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(500, court, **LONG_NAMES))

    report = await imported(sessions, content)
    again = await imported(sessions, content)

    bodies = await published_bodies(sessions, report)
    events = await published(sessions, report)
    assert max(map(len, bodies)) <= MOST_EVENT_BYTES < sum(map(len, bodies))
    assert (len(events), report.events) == (2, 2)
    ids = [each.cooperative_id for event in events for each in event.cooperatives]
    assert len(ids) == len(set(ids)) == await stored(sessions, court) == 500
    assert (again.rows_unchanged, again.events) == (500, 0)


async def test_a_snapshot_of_such_names_has_no_event_that_is_too_large(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(*many_rows(500, court, **LONG_NAMES)))
    sizes, names, ids, after = [], [], [], None

    async with sessions() as session:
        while (page := await cooperatives_after(session, after)).last is not None:
            sizes += [len(outbox.row_for(event).body) for _, event in page.events]
            names += [name for name, _ in page.events]
            ids += [each.cooperative_id for _, event in page.events for each in event.cooperatives]
            after = page.last

    assert max(sizes) <= MOST_EVENT_BYTES
    assert len(names) == len(set(names))
    assert len(ids) == len(set(ids)) >= 500


async def test_an_import_whose_event_would_be_too_large_ends_as_failed_in_words(
    sessions: Sessions, court: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_EVENT_BYTES", 700)

    report = await imported(sessions, a_file(*many_rows(1, court, **LONG_NAMES)))

    assert report.state is ImportState.FAILED
    assert "lines 2 to 2 could not be written, because the event would have" in report.refusal
    assert "shorten or divide cooperatives" in report.refusal
    assert await stored(sessions, court) == 0


async def test_importing_the_same_file_again_changes_and_publishes_nothing(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(20, court))
    await imported(sessions, content)

    again = await imported(sessions, content)

    assert (again.rows_unchanged, again.rows_changed, again.events) == (20, 0, 0)
    assert await published(sessions, again) == []


async def test_a_changed_row_makes_version_2_and_is_published_alone(
    sessions: Sessions, court: str
) -> None:
    rows = many_rows(20, court)
    await imported(sessions, a_file(*rows))
    rows[7]["members_total"] = "44"

    report = await imported(sessions, a_file(*rows))

    (event,) = await published(sessions, report)
    assert [(each.version, each.members_total) for each in event.cooperatives] == [(2, 44)]


async def test_a_changed_phone_is_a_change_too(sessions: Sessions, court: str) -> None:
    await imported(sessions, a_file(*many_rows(2, court)))

    report = await imported(sessions, a_file(*many_rows(2, court, phone="0600000002")))

    assert report.rows_changed == 2


async def test_contacts_cross_the_broker_only_sealed(sessions: Sessions, court: str) -> None:
    report = await imported(sessions, a_file(*many_rows(1, court)))

    (event,) = await published(sessions, report)
    body = event.model_dump_json()
    sealed = event.cooperatives[0].contact_sealed
    assert "600000001" not in body
    assert "Présidence" not in body
    assert sealed is not None
    assert SEALER.open(sealed)["phone"] == "+212600000001"


async def test_a_file_that_breaks_midway_keeps_what_went_in_and_says_where(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(500, court)) + b"caf\xe9\n"

    report = await imported(sessions, content)

    assert (report.state, report.rows_added) == (ImportState.REFUSED, 500)
    assert "line 502" in (report.refusal or "")


async def test_an_unexpected_error_ends_an_import_as_failed_with_line_and_reason(
    sessions: Sessions, court: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(entry: Entry) -> list[Problem]:
        if entry.local_register_no == "600/2021":
            raise OverflowError("a value that may be somebody's")
        return []

    monkeypatch.setattr(reader, "contradictions", broken)

    report = await imported(sessions, a_file(*many_rows(600, court)))

    async with sessions() as session:
        found = await queries.find_import(session, report.id)
    assert (found.state, found.rows_added, found.events) == (ImportState.FAILED, 500, 1)
    assert "line 601 could not be read" in (found.refusal or "")
    assert "OverflowError" in (found.refusal or "")
    assert "somebody" not in (found.refusal or "")


async def test_a_batch_that_can_not_be_written_ends_an_import_as_failed(
    sessions: Sessions, court: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "UPSERT", text("SELECT 1 / 0, CAST(:rows AS text)"))

    report = await imported(sessions, a_file(*many_rows(2, court)))

    assert (report.state, report.rows_read, report.rows_added) == (ImportState.FAILED, 0, 0)
    assert "lines 2 to 3 could not be written" in (report.refusal or "")


async def test_an_unreadable_file_is_refused_before_anything_is_written(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        before = await session.scalar(select(func.count()).select_from(tables.register_import))

    with pytest.raises(FileRefused):
        await imported(sessions, b"")

    async with sessions() as session:
        after = await session.scalar(select(func.count()).select_from(tables.register_import))
    assert after == before


async def test_only_operators_import(sessions: Sessions) -> None:
    delegate = Principal(subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE}))
    steps = import_register(sessions, SEALER, delegate, [], source="x")

    with pytest.raises(MissingRole):
        await anext(steps)


async def test_the_audit_of_an_import_says_how_it_ended(sessions: Sessions, court: str) -> None:
    rows = [*many_rows(3, court), a_row(court=court, local_register_no="4", province="Nowhere")]
    report = await imported(sessions, a_file(*rows))

    began, ended = await audited(sessions, report.id)

    assert (began.action, ended.action) == ("register import started", "register import finished")
    assert (ended.actor_id, ended.actor_roles) == (LOCAL_OPERATOR.subject, ["operator"])
    assert ended.after == {
        "rows_read": 4,
        "rows_added": 3,
        "rows_changed": 0,
        "rows_unchanged": 0,
        "rows_refused": 1,
    }


async def test_a_cooperative_that_an_import_changes_has_an_audit_row_of_what_changed(
    sessions: Sessions, court: str
) -> None:
    rows = many_rows(3, court)
    (event,) = await published(sessions, await imported(sessions, a_file(*rows)))
    rows[1] |= {"members_total": "44", "sector": "", "phone": "0600000002"}

    report = await imported(sessions, a_file(*rows))

    same, changed, _ = [await audited(sessions, each.cooperative_id) for each in event.cooperatives]
    (row,) = changed
    assert same == []
    assert row.action == "cooperative changed by an import"
    assert (row.actor_id, row.actor_roles) == (LOCAL_OPERATOR.subject, ["operator"])
    assert row.before == {"members_total": 10, "sector": "ARGAN", "contact": "changed"}
    assert row.after == {
        "members_total": 44,
        "sector": None,
        "contact": "changed",
        "import_id": str(report.id),
    }


async def test_a_cooperative_names_the_import_that_entered_it_whatever_changes_it_later(
    sessions: Sessions, court: str
) -> None:
    first = await imported(sessions, a_file(*many_rows(1, court)))
    await imported(sessions, a_file(*many_rows(1, court, members_total="44")))

    async with sessions() as session:
        table = tables.cooperative
        row = (await session.execute(select(table).where(table.c.court == court))).one()
    assert (row.version, row.import_id) == (2, first.id)
    assert (
        cooperative_rows.cooperative_values(cooperative_rows.cooperative_from(row._mapping))[
            "import_id"
        ]
        == first.id
    )


async def test_a_value_changed_by_hand_yields_to_the_next_file(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(1, court))
    report = await imported(sessions, content)
    (event,) = await published(sessions, report)
    async with sessions.begin() as session:
        await cooperatives.change_cooperative(
            session,
            SEALER,
            LOCAL_OPERATOR,
            event.cooperatives[0].cooperative_id,
            changes={"members_total": 50},
            contact_changes={},
        )

    again = await imported(sessions, content)

    (event,) = await published(sessions, again)
    assert [(each.version, each.members_total) for each in event.cooperatives] == [(3, 10)]
    assert json.loads(event.model_dump_json())["import_id"] == str(again.id)


async def test_a_snapshot_publishes_each_cooperative_once_with_its_present_version(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(*many_rows(3, court)))
    await imported(sessions, a_file(*many_rows(3, court, members_total="30")))
    records, names, after = [], [], None

    async with sessions() as session:
        while (page := await cooperatives_after(session, after)).last is not None:
            names += [name for name, _ in page.events]
            records += [record for _, event in page.events for record in event.cooperatives]
            after = page.last
        known = await session.scalar(select(func.count()).select_from(tables.cooperative))

    assert known == len(records) == len({record.cooperative_id for record in records})
    assert {record.version for record in records if record.members_total == 30} == {2}
    assert len(names) == len(set(names))


async def test_a_batch_of_a_snapshot_says_how_many_are_still_to_come(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(*many_rows(BATCH_LIMIT + 1, court)))
    remaining, sizes, after = [], [], None

    async with sessions() as session:
        while (page := await cooperatives_after(session, after)).last is not None:
            remaining += [event.remaining for _, event in page.events]
            sizes += [len(event.cooperatives) for _, event in page.events]
            after = page.last

    assert remaining == [sum(sizes[number + 1 :]) for number in range(len(sizes))]


async def test_a_snapshot_names_a_cooperative_that_it_can_not_read_and_publishes_the_others(
    sessions: Sessions, court: str
) -> None:
    report = await imported(sessions, a_file(*many_rows(3, court)))
    table = tables.cooperative
    async with sessions() as session:
        known = list(await session.scalars(select(table.c.id)))
        of_file = select(table.c.id).where(table.c.import_id == report.id).limit(1)
        broken = await session.scalar(of_file)
        await session.execute(update(table).where(table.c.id == broken).values(province="MA-NO"))
        pages = [page async for page in pages_of(session)]

    events = [event for page in pages for _, event in page.events]
    published = {each.cooperative_id for event in events for each in event.cooperatives}
    assert published == set(known) - {broken}
    assert [name for page in pages for name in page.unreadable] == [
        f"cooperative {broken} (UnknownCode)"
    ]


async def pages_of(session: AsyncSession) -> AsyncIterator[Page]:
    """Every page of a snapshot of the register."""
    after = None
    while (page := await cooperatives_after(session, after)).last is not None:
        yield page
        after = page.last


async def test_a_page_of_a_snapshot_has_the_same_name_when_it_is_read_again(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(*many_rows(2, court)))

    async with sessions() as session:
        first, again = [await cooperatives_after(session, None) for _ in range(2)]

    assert [name for name, _ in first.events] == [name for name, _ in again.events]
