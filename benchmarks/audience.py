"""The audience of a run: the drawn register, put into notifications by COPY."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import asyncpg

from registry.register.domain.cooperative import record_of
from registry.register.generator.register import write_register
from registry.register.register_file.decoding import lines_of
from registry.register.register_file.reader import read_rows
from shared.contracts.registry import CooperativeRecord

from .calls import NARROW_REGION
from .measured_system import Broken, MeasuredSystem, shuffled

COLUMNS = [name for name in CooperativeRecord.model_fields]


def register_file(system: MeasuredSystem, count: int) -> Path:
    """A register of so many cooperatives, drawn once per run."""
    path = system.stack.folder / f"register-{count}.csv"
    if not path.exists():
        with path.open("w", encoding="utf-8", newline="") as stream:
            write_register(stream, count=count)
    return path


@lru_cache(maxsize=1)
def records(path: Path) -> list[tuple[Any, ...]]:
    """The audience's columns of every row, under ids that are the same in every run."""
    found = []
    with path.open("rb") as stream:
        for number, verdict in enumerate(read_rows(lines_of(stream))):
            if verdict.entry is None:
                raise Broken(f"line {verdict.line} of the drawn register was refused")
            record = record_of(verdict.entry, None, id=_id(number), version=1)
            found.append(tuple(getattr(record, name) for name in COLUMNS))
    return shuffled(found)


def _id(number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


def grown(base: list[tuple[Any, ...]], count: int) -> Iterator[tuple[Any, ...]]:
    """The base, then copies of those who live outside the narrow call's region, to that count."""
    yield from base
    region = COLUMNS.index("region")
    elsewhere = [row[1:] for row in base if row[region] != NARROW_REGION]
    for number in range(count - len(base)):
        yield (uuid.uuid4(), *elsewhere[number % len(elsewhere)])


async def fill(
    system: MeasuredSystem, database: asyncpg.Connection, count: int | None = None
) -> None:
    """The audience, no history and no alerts; analysed, as it is after some quiet minutes."""
    base = records(register_file(system, system.sizes.cooperatives))
    count = count or len(base)
    await clear_audience(database)
    rows = iter(base) if count == len(base) else grown(base, count)
    await database.copy_records_to_table("audience", records=rows, columns=COLUMNS)
    await database.execute("VACUUM ANALYZE audience")


async def clear_audience(database: asyncpg.Connection) -> None:
    """Notifications as it was before anybody was known or alerted."""
    await database.execute(
        "TRUNCATE audience, audience_history, subject, subject_history, alert, alert_state CASCADE"
    )
