"""Importing a register into a real database: whole batches, silent repeats, crashes survived."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from devkit import pytest_plugin
from registry.local_operator import LOCAL_OPERATOR
from registry.privacy.domain import Ground, PersonRequest, RequestKind
from registry.privacy.usecases import person_lookup, requests
from registry.register import queries
from registry.register.domain.cooperative import Contact
from registry.register.domain.imports import (
    ImportState,
    ImportUnderWay,
    RegisterImport,
    RegisterInMotion,
)
from registry.register.models import rows as cooperative_rows
from registry.register.models import tables
from registry.register.register_file.decoding import FileRefused, lines_of
from registry.register.register_file.reader import read_rows
from registry.register.usecases import cooperatives, imports
from registry.register.usecases.imports import (
    IMPORT_LOCK,
    block_imports,
    delete_problems,
    import_register,
)
from registry.register.usecases.row_upsert import Batch, RowUpsert
from registry.snapshots import cooperatives_after
from shared.contracts.base import new_id, now
from shared.contracts.registry import BATCH_LIMIT, CooperativesImported
from shared.kernel.auth.tokens import MissingRole, Principal, Role
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.tables import AuditRow, OutboxRow
from shared.kernel.encryption.sealer import Sealer

from ..builders import a_file, a_row, an_entry, many_rows

pytestmark = pytest.mark.servers

SEALER = Sealer([pytest_plugin.SEAL_KEY])


@pytest.fixture(scope="module")
def url(databases: pytest_plugin.TestDatabases) -> str:
    """Imports commit, so they have a database of their own; each test has its own court."""
    return databases.fresh("registry")


@pytest.fixture(scope="module")
async def sessions(url: str) -> AsyncIterator[Sessions]:
    engine = make_engine(url)
    yield make_sessions(engine)
    await engine.dispose()


@pytest.fixture
def court() -> str:
    return f"TPI {uuid.uuid4().hex}"


async def imported(sessions: Sessions, content: bytes) -> RegisterImport:
    lines = lines_of(io.BytesIO(content))
    async for step in import_register(sessions, SEALER, LOCAL_OPERATOR, lines, source="test.csv"):
        report = step.report
    return report


async def published(sessions: Sessions, report: RegisterImport) -> list[CooperativesImported]:
    async with sessions() as session:
        rows = await session.scalars(
            select(OutboxRow.body)
            .where(OutboxRow.topic == CooperativesImported.topic)
            .order_by(OutboxRow.seq)
        )
        events = [CooperativesImported.model_validate_json(body) for body in rows]
    return [event for event in events if event.import_id == report.id]


async def stored(sessions: Sessions, court: str) -> int:
    table = tables.cooperative
    async with sessions() as session:
        return await session.scalar(select(func.count()).where(table.c.court == court)) or 0


async def test_good_rows_go_in_while_wrong_ones_are_reported(
    sessions: Sessions, court: str
) -> None:
    rows = [*many_rows(3, court), a_row(court=court, local_register_no="4", members_women="99")]

    report = await imported(sessions, a_file(*rows))

    assert (report.rows_read, report.rows_added, report.rows_refused) == (4, 3, 1)
    assert report.state is ImportState.FINISHED
    assert [(each["line"], each["column"]) for each in report.problems] == [(5, "members_women")]
    assert await stored(sessions, court) == 3


async def test_what_was_wrong_in_a_file_is_deleted_after_some_days_and_the_counts_stay(
    sessions: Sessions, court: str
) -> None:
    wrong = a_file(a_row(court=court, members_women="99"))
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


async def test_only_one_import_runs_at_a_time(sessions: Sessions, court: str) -> None:
    content = a_file(*many_rows(1, court))
    async with sessions.begin() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": IMPORT_LOCK})

        with pytest.raises(ImportUnderWay, match="wait until that has finished"):
            await imported(sessions, content)

    assert await stored(sessions, court) == 0


LAST = "last-row@taawon.example"


async def requested(sessions: Sessions, kind: RequestKind, **how: Any) -> PersonRequest:
    """A person's request, by the e-mail of the last row of a file."""
    async with sessions.begin() as session:
        return await requests.open_request(
            session,
            SEALER,
            LOCAL_OPERATOR,
            kind,
            person_lookup.PersonIdentifiers(emails=frozenset({LAST})),
            ground=Ground.PERSON,
            reference="1",
            **how,
        )


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (RequestKind.ERASURE, {}),
        (RequestKind.RECTIFICATION, {"corrections": {"email": "right@taawon.example"}}),
    ],
)
async def test_while_a_file_is_imported_nobody_is_erased_or_corrected_for_its_rest_may_name_them(
    sessions: Sessions, court: str, kind: RequestKind, how: dict[str, Any]
) -> None:
    rows = many_rows(BATCH_LIMIT + 1, court)
    rows[-1]["email"] = LAST
    lines = lines_of(io.BytesIO(a_file(*rows)))
    steps = import_register(sessions, SEALER, LOCAL_OPERATOR, lines, source="test.csv")
    await anext(steps)

    with pytest.raises(RegisterInMotion, match="ask again after it"):
        await requested(sessions, kind, **how)
    access = await requested(sessions, RequestKind.ACCESS)
    async for _ in steps:
        pass
    request = await requested(sessions, kind, **how)

    assert (len(access.cooperative_ids), len(request.cooperative_ids)) == (0, 1)


async def test_no_import_begins_while_a_person_is_being_erased(
    sessions: Sessions, court: str
) -> None:
    async with sessions.begin() as session:
        await block_imports(session)

        with pytest.raises(ImportUnderWay, match="or a person erased: wait"):
            await imported(sessions, a_file(*many_rows(1, court)))


async def test_an_import_of_a_file_that_comes_slowly_keeps_its_transaction_alive(
    url: str, court: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database ends transactions that stay silent; three queries come in that time."""
    engine = make_engine(url, idle_seconds=3)
    async with engine.connect() as connection:
        assert await connection.scalar(text(imports._IDLE_TIMEOUT_QUERY)) == 3000
    await engine.dispose()
    engine = make_engine(url)
    queries_made = liveness_queries(engine)
    monkeypatch.setattr(imports, "_IDLE_TIMEOUT_QUERY", "SELECT 30")

    def slow() -> Iterator[bytes]:
        for number, line in enumerate(lines_of(io.BytesIO(a_file(*many_rows(501, court=court))))):
            if number == 501:
                while queries_made.acquire(blocking=False):
                    pass
                for _ in range(3):
                    queries_made.acquire()
            yield line

    steps = import_register(
        make_sessions(engine), SEALER, LOCAL_OPERATOR, slow(), source="test.csv"
    )
    report = [step.report async for step in steps][-1]
    await engine.dispose()

    assert (report.state, report.rows_added) == (ImportState.FINISHED, 501)


def liveness_queries(engine: AsyncEngine) -> threading.Semaphore:
    """A semaphore that is released for each query that keeps the transaction alive."""
    queries_made = threading.Semaphore(0)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == "SELECT 1":
            queries_made.release()

    return queries_made


async def test_two_imports_at_once_never_write_a_row_twice(sessions: Sessions, court: str) -> None:
    content = a_file(*many_rows(600, court))

    results = await asyncio.gather(
        imported(sessions, content), imported(sessions, content), return_exceptions=True
    )

    assert any(isinstance(result, RegisterImport) for result in results)
    assert await stored(sessions, court) == 600


async def prepared(sessions: Sessions, content: bytes) -> tuple[RowUpsert, Batch]:
    """A batch that was read and sealed while the database was still busy with the one before."""
    report = RegisterImport(id=new_id(), source="waits.csv", started_at=now())
    upsert = RowUpsert(
        sessions=sessions,
        sealer=SEALER,
        caller=LOCAL_OPERATOR,
        report=report,
        as_of_on=now().date(),
    )
    verdicts = tuple(read_rows(lines_of(io.BytesIO(content))))
    return upsert, await upsert.prepare(verdicts)


async def test_a_contact_that_is_erased_while_its_batch_waits_does_not_come_back(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(a_row(court=court)))
    upsert, batch = await prepared(sessions, a_file(a_row(court=court, name_fr="Un autre nom")))
    async with sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE cooperative SET contact_sealed = NULL, contact_mark = NULL,"
                " contact_settled_at = now() WHERE court = :court"
            ),
            {"court": court},
        )

    async with sessions.begin() as session:
        await upsert.write(session, batch)

    async with sessions() as session:
        query = select(tables.cooperative).where(tables.cooperative.c.court == court)
        (row,) = (await session.execute(query)).all()
    assert (row.name_fr, row.contact_sealed, row.contact_mark) == ("Un autre nom", None, None)
    assert upsert.report.rows_changed == 1


async def test_a_row_that_somebody_else_enters_while_its_batch_waits_is_no_change(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(3, court))
    upsert, batch = await prepared(sessions, content)
    await imported(sessions, content)
    async with sessions.begin() as session:
        before = await session.scalar(select(func.count()).select_from(OutboxRow))
        await upsert.write(session, batch)
        after = await session.scalar(select(func.count()).select_from(OutboxRow))

    assert (upsert.report.rows_added, upsert.report.rows_unchanged) == (0, 3)
    assert after == before


async def test_an_import_killed_midway_is_finished_by_the_next_one(
    sessions: Sessions, url: str, court: str, tmp_path: Path
) -> None:
    content = a_file(*many_rows(1_200, court))
    file, proof = tmp_path / "register.csv", tmp_path / "proof"
    await asyncio.to_thread(file.write_bytes, content)
    command = [sys.executable, "-c", "from registry.register.cli import app; app()"]
    environment = os.environ | {
        "TAAWON_DATABASE_URL": url,
        "TAAWON_SEAL_KEYS": pytest_plugin.SEAL_KEY,
        "TAAWON_FAILPOINT": f"registry.import.batch@{proof}",
    }
    killed = await asyncio.to_thread(
        subprocess.run, [*command, "import", str(file)], env=environment, capture_output=True
    )
    assert (killed.returncode, await stored(sessions, court)) == (-9, 500)

    report = await imported(sessions, content)

    assert (report.rows_unchanged, report.rows_added) == (500, 700)
    assert await stored(sessions, court) == 1_200


async def test_an_import_that_died_is_marked_interrupted_by_the_next_one(
    sessions: Sessions, court: str
) -> None:
    lines = lines_of(io.BytesIO(a_file(*many_rows(600, court))))
    steps = import_register(sessions, SEALER, LOCAL_OPERATOR, lines, source="died.csv")
    died = (await anext(steps)).report
    await steps.aclose()

    await imported(sessions, a_file(*many_rows(1, court)))

    async with sessions() as session:
        found = await session.get(RegisterImport, died.id)
    assert found is not None
    assert found.state is ImportState.INTERRUPTED
    *_, ended = await audited(sessions, died.id)
    assert ended.action == "register import interrupted"
    assert ended.after["rows_added"] == 500


async def test_a_file_that_breaks_midway_keeps_what_went_in_and_says_where(
    sessions: Sessions, court: str
) -> None:
    content = a_file(*many_rows(500, court)) + b"caf\xe9\n"

    report = await imported(sessions, content)

    assert (report.state, report.rows_added) == (ImportState.REFUSED, 500)
    assert "line 502" in (report.refusal or "")


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


async def audited(sessions: Sessions, record_id: uuid.UUID) -> list[AuditRow]:
    query = select(AuditRow).filter_by(subject_id=record_id).order_by(AuditRow.id)
    async with sessions() as session:
        return list(await session.scalars(query))


async def test_the_audit_of_an_import_says_how_it_ended(sessions: Sessions, court: str) -> None:
    rows = [*many_rows(3, court), a_row(court=court, local_register_no="4", members_women="99")]
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


async def test_what_is_entered_while_a_batch_is_written_is_audited_too(
    databases: pytest_plugin.TestDatabases, court: str
) -> None:
    """Writing waits for a lock that whoever enters the same cooperative holds."""
    engine = make_engine(databases.fresh("registry"))
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        await session.execute(text(_WAITS))
        await session.execute(text(_WAITS_BEFORE_WRITING))
    upsert, batch = await prepared(sessions, a_file(a_row(court=court, members_total="44")))

    async def write() -> None:
        async with sessions.begin() as session:
            await upsert.write(session, batch)

    async with sessions.begin() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(1)"))
        writing = asyncio.create_task(write())
        await pytest_plugin.eventually(lambda: session.scalar(text(_SOMEBODY_WAITS)))
        entered = await cooperatives.register_cooperative(
            session, SEALER, LOCAL_OPERATOR, an_entry(court=court), contact=Contact()
        )
    await writing

    actions = [row.action for row in await audited(sessions, entered.id)]
    await engine.dispose()
    assert upsert.report.rows_changed == 1
    assert actions == ["cooperative registered", "cooperative changed by an import"]


_WAITS = """
CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    RETURN NULL;
END $$
"""
_WAITS_BEFORE_WRITING = """
CREATE TRIGGER waits BEFORE INSERT ON cooperative FOR EACH STATEMENT EXECUTE FUNCTION waits()
"""
_SOMEBODY_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


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


async def test_a_page_of_a_snapshot_has_the_same_name_when_it_is_read_again(
    sessions: Sessions, court: str
) -> None:
    await imported(sessions, a_file(*many_rows(2, court)))

    async with sessions() as session:
        first, again = [await cooperatives_after(session, None) for _ in range(2)]

    assert [name for name, _ in first.events] == [name for name, _ in again.events]
