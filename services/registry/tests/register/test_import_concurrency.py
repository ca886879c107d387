"""Imports beside each other, beside requests of persons, and after a crash."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from devkit import pytest_plugin
from registry.privacy.domain.found_records import PersonIdentifiers
from registry.privacy.domain.requests import PersonRequest, RequestKind
from registry.privacy.usecases.proposals import Proposal
from registry.register.domain.cooperative import Contact
from registry.register.domain.imports import (
    ImportState,
    ImportUnderWay,
    RegisterImport,
    RegisterInMotion,
)
from registry.register.models import tables
from registry.register.register_file.decoding import lines_of
from registry.register.usecases import cooperatives, imports
from registry.register.usecases.imports import IMPORT_LOCK, block_imports, import_register
from shared.contracts.registry import BATCH_LIMIT
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.tables import OutboxRow

from ..builders import a_confirmed_request, a_file, a_row, an_entry, many_rows
from .importing import SEALER, audited, imported, prepared, stored

pytestmark = pytest.mark.servers


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
    proposal = Proposal(named=PersonIdentifiers(emails=frozenset({LAST})), **how)
    async with sessions.begin() as session:
        return await a_confirmed_request(session, SEALER, kind, proposal)


async def begun(steps: AsyncGenerator[imports.Progress]) -> RegisterImport:
    """The report of an import whose first batch has been written."""
    await anext(steps)
    return (await anext(steps)).report


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (RequestKind.RECTIFICATION, {"corrections": {"email": "right@taawon.example"}}),
        # The last: what is erased comes into the database of these tests no more.
        (RequestKind.ERASURE, {}),
    ],
)
async def test_while_a_file_is_imported_nobody_is_erased_or_corrected_for_its_rest_may_name_them(
    sessions: Sessions, court: str, kind: RequestKind, how: dict[str, Any]
) -> None:
    rows = many_rows(BATCH_LIMIT + 1, court)
    rows[-1]["email"] = LAST
    lines = lines_of(io.BytesIO(a_file(*rows)))
    steps = import_register(sessions, SEALER, LOCAL_OPERATOR, lines, source="test.csv")
    await begun(steps)

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
    died = await begun(steps)
    await steps.aclose()

    await imported(sessions, a_file(*many_rows(1, court)))

    async with sessions() as session:
        found = await session.get(RegisterImport, died.id)
    assert found is not None
    assert found.state is ImportState.INTERRUPTED
    *_, ended = await audited(sessions, died.id)
    assert ended.action == "register import interrupted"
    assert ended.after["rows_added"] == 500


async def test_an_import_that_died_is_marked_interrupted_and_one_that_runs_is_not(
    sessions: Sessions, court: str
) -> None:
    lines = lines_of(io.BytesIO(a_file(*many_rows(600, court))))
    steps = import_register(sessions, SEALER, LOCAL_OPERATOR, lines, source="died.csv")
    report = await begun(steps)

    async with sessions.begin() as session:
        while_it_runs = await imports.interrupt_dead_imports(session, LOCAL_OPERATOR)
    await steps.aclose()
    async with sessions.begin() as session:
        after_it_died = await imports.interrupt_dead_imports(session, LOCAL_OPERATOR)

    async with sessions() as session:
        found = await session.get_one(RegisterImport, report.id)
    assert (while_it_runs, after_it_died) == (0, 1)
    assert (found.state, found.rows_added) == (ImportState.INTERRUPTED, 500)


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
