"""The register: import beside COPY with the same validation, and when all of it is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import asyncpg
from cryptography.fernet import Fernet

from registry.register.domain.cooperative import Entry
from registry.register.models import rows as cooperative_rows
from registry.register.register_file.decoding import lines_of
from registry.register.register_file.reader import read_rows
from registry.register.usecases import imports
from shared.business_days import today
from shared.contracts.base import new_id
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data import migrations
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer

from . import audience
from .measured_system import Broken, MeasuredSystem, in_turns, until
from .rows import Row, compared, limited

BUDGET = 3.0
AUDIENCE_SECONDS = 10.0
DATABASE = "bench_registry"
_FIELDS = [item.name for item in fields(Entry) if item.name != "contact"]
_COLUMNS = [
    *_FIELDS,
    *("id", "version", "court_key", "register_key", "digest", "search_key", "region"),
    *("source", "as_of_on"),
]


async def measure(system: MeasuredSystem) -> list[Row]:
    """The import alone, then through all of the running system."""
    path = audience.register_file(system, system.sizes.cooperatives)
    url = system.database_url(DATABASE)
    await asyncio.to_thread(migrations.upgrade, "registry", url)
    engine = make_engine(url, pool_size=2)
    async with system.database(DATABASE) as database:
        ours, copied = await in_turns(
            system,
            system.sizes.imports,
            lambda: _import(system, database, make_sessions(engine), path),
            lambda: _copy(system, database, path),
            warm=False,
        )
    await engine.dispose()
    return [
        compared(
            f"register import, {system.sizes.cooperatives:,} rows",
            ours,
            copied,
            unit="s",
            budget=BUDGET,
            note="÷ COPY into the same table and indexes after the same validation, unsealed",
        ),
        await _until_known(system, path),
    ]


async def _import(
    system: MeasuredSystem, database: asyncpg.Connection, sessions: Sessions, path: Path
) -> float:
    """As the command does it: validated, sealed, digested, published, batch by batch."""
    await _emptied(system, database)
    began = time.perf_counter()
    rows = await _read_in(sessions, Sealer([Fernet.generate_key().decode()]), path)
    seconds = time.perf_counter() - began
    await _check(system, database, rows)
    return seconds


async def _read_in(sessions: Sessions, sealer: Sealer, path: Path) -> int:
    added = 0
    with path.open("rb") as stream:
        steps = imports.import_register(
            sessions, sealer, LOCAL_OPERATOR, lines_of(stream), source=path.name
        )
        async for step in steps:
            added = step.report.rows_added
    return added


async def _copy(system: MeasuredSystem, database: asyncpg.Connection, path: Path) -> float:
    """One COPY of what the same reader lets through; nothing is sealed, no event is published."""
    await _emptied(system, database)
    began = time.perf_counter()
    with path.open("rb") as stream:
        await database.copy_records_to_table(
            "cooperative", records=_entries(lines_of(stream)), columns=_COLUMNS
        )
    seconds = time.perf_counter() - began
    await _check(system, database, await database.fetchval("SELECT count(*) FROM cooperative"))
    return seconds


def _entries(lines: Iterator[bytes]) -> Iterator[tuple[Any, ...]]:
    day = today()
    for verdict in read_rows(lines):
        entry = verdict.entry
        if entry is not None:
            values = [getattr(entry, name) for name in _FIELDS]
            search_key = cooperative_rows.search_key(entry.name_fr, entry.name_ar)
            court, number = entry.identity
            yield (*values, new_id(), 1, court, number, "", search_key, entry.region, "copy", day)


async def _emptied(system: MeasuredSystem, database: asyncpg.Connection) -> None:
    await database.execute("TRUNCATE cooperative, register_import, outbox CASCADE")
    await system.checkpoint()


async def _check(system: MeasuredSystem, database: asyncpg.Connection, rows: int) -> None:
    if rows != system.sizes.cooperatives:
        raise Broken(f"{rows} of {system.sizes.cooperatives} rows went in")


async def _until_known(system: MeasuredSystem, path: Path) -> Row:
    """The audience grows while the import runs; the clock starts when its last row is in."""
    async with system.database("notifications") as known, system.database("registry") as register:
        await audience.clear_audience(known)
        await _emptied(system, register)
        engine = make_engine(system.database_url("registry"), pool_size=2)
        sealer = Sealer([system.stack.seal_key()])
        began = time.perf_counter()
        await _read_in(make_sessions(engine), sealer, path)
        imported = time.perf_counter()
        await engine.dispose()

        async def all_known() -> bool:
            return await _known(known) >= system.sizes.cooperatives

        await until(all_known, every=0.05)
        lag = time.perf_counter() - imported
    return limited(
        f"audience complete after the last of {system.sizes.cooperatives:,} rows",
        lag,
        AUDIENCE_SECONDS,
        unit="s",
        note=f"all services running; the import took {imported - began:.1f} s beside them",
    )


async def _known(database: asyncpg.Connection) -> int:
    return int(await database.fetchval("SELECT count(*) FROM audience"))
