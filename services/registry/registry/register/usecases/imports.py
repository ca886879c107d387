"""Reads a register file into the register: batch by batch, each batch whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.contracts.registry import BATCH_LIMIT
from shared.kernel import failpoints
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import take_lock
from shared.kernel.data.database import Sessions
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.sleep import until

from ..domain.imports import ImportState, ImportUnderWay, RegisterImport, RegisterInMotion
from ..models import tables
from ..register_file.decoding import FileRefused
from ..register_file.findings import Finding
from ..register_file.reader import RowVerdict, read_rows
from .row_upsert import Batch, RowUpsert

IMPORT_LOCK: Final = 7_464
_PATIENCE: Final = (
    "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
)
"""In milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The import after one more batch, and what was wrong in that batch."""

    report: RegisterImport
    findings: tuple[Finding, ...] = ()


async def import_register(
    sessions: Sessions,
    sealer: Sealer,
    caller: Principal,
    lines: Iterable[bytes],
    *,
    source: str,
    as_of_on: date | None = None,
) -> AsyncGenerator[Progress]:
    """Good rows go in, wrong ones are reported; equal rows change nothing and publish nothing.

    Each batch is one transaction with at most one event. If the process dies, reading the same
    file again finishes the job, for the batches that went in are equal by then. One import at a
    time: see `_alone`.
    """
    caller.require(Role.OPERATOR)
    batches = _batches(read_rows(lines))
    verdicts = await asyncio.to_thread(next, batches, ())
    async with _alone(sessions) as check_alone:
        report = await _start(sessions, caller, source)
        upsert = RowUpsert(
            sessions=sessions,
            sealer=sealer,
            caller=caller,
            report=report,
            as_of_on=as_of_on or now().date(),
        )
        batch = await upsert.prepare(verdicts)
        refusal: str | None = None
        while batch.verdicts:
            check_alone()
            # The next batch is read and sealed while the database writes this one.
            ahead = asyncio.create_task(_prepared(upsert, batches))
            try:
                async with sessions.begin() as session:
                    findings = await upsert.put_in(session, batch)
                failpoints.reach("registry.import.batch")
                yield Progress(report=report, findings=findings)
            finally:
                batch, refusal = await ahead
        await _end(sessions, caller, report, refusal)
    yield Progress(report=report)


async def _prepared(
    upsert: RowUpsert, batches: Iterator[tuple[RowVerdict, ...]]
) -> tuple[Batch, str | None]:
    verdicts, refusal = await asyncio.to_thread(_next_or_refusal, batches)
    return await upsert.prepare(verdicts), refusal


def _next_or_refusal(
    batches: Iterator[tuple[RowVerdict, ...]],
) -> tuple[tuple[RowVerdict, ...], str | None]:
    """What is wrong with the rest of the file ends the import; it undoes nothing."""
    try:
        return next(batches, ()), None
    except FileRefused as error:
        return (), error.detail


def _batches(verdicts: Iterator[RowVerdict]) -> Iterator[tuple[RowVerdict, ...]]:
    """At most as many rows as one event may carry."""
    while batch := tuple(islice(verdicts, BATCH_LIMIT)):
        yield batch


@asynccontextmanager
async def _alone(sessions: Sessions) -> AsyncIterator[Callable[[], None]]:
    """Hold the lock on imports; what it gives raises once the lock is lost.

    A transaction holds it, so that it outlives no process. The database ends transactions that stay
    silent, for a frozen process must not keep its locks; so this one gives signs of life. It may
    last for as long as the file does: the limit of a transaction's time is not for it.
    """
    async with sessions() as holder:
        await _take_lock(holder)
        ended = asyncio.Event()
        living = asyncio.create_task(_give_signs_of_life(holder, ended))

        def check() -> None:
            if living.done():
                living.result()

        try:
            yield check
        finally:
            ended.set()
            await living
        await holder.commit()


async def delete_problems(session: AsyncSession, days: int) -> int:
    """What was wrong in files that were read so many days ago; the counts stay."""
    table = tables.register_import
    old = table.c.started_at < func.now() - timedelta(days=days)
    erased = await session.execute(
        update(table).where(old, table.c.problems != []).values(problems=[])
    )
    return int(erased.rowcount)  # type: ignore[attr-defined]  # a cursor's


async def hold_off_imports(session: AsyncSession) -> None:
    """No import until the end of this transaction; refused while one runs.

    What it has read and not yet written can't be searched.
    """
    if not await take_lock(session, IMPORT_LOCK, shared=True):
        raise RegisterInMotion


async def _take_lock(holder: AsyncSession) -> None:
    await holder.execute(text("SET LOCAL transaction_timeout = 0"))
    if not await take_lock(holder, IMPORT_LOCK):
        raise ImportUnderWay


async def _give_signs_of_life(holder: AsyncSession, ended: asyncio.Event) -> None:
    """Three in the time after which the database would give us up; 0 means that it never does."""
    patience = await holder.scalar(text(_PATIENCE))
    pause = min(5.0, patience / 3000) if patience else 5.0
    while not ended.is_set():
        await until(ended, pause)
        await holder.execute(select(1))


async def _start(sessions: Sessions, caller: Principal, source: str) -> RegisterImport:
    """Whoever holds the lock is alone, so an import that still seems to run has died."""
    async with sessions.begin() as session:
        died = await session.execute(select(RegisterImport).filter_by(state=ImportState.RUNNING))
        for each in died.scalars():
            each.interrupt(at=now())
            _record_outcome(session, caller, each)
        report = RegisterImport(id=new_id(), source=source, started_at=now())
        session.add(report)
        audit.record(
            session,
            caller,
            action="register import started",
            subject_id=report.id,
            after={"source": source},
        )
    return report


async def _end(
    sessions: Sessions, caller: Principal, report: RegisterImport, refusal: str | None
) -> None:
    async with sessions.begin() as session:
        session.add(report)
        if refusal is None:
            report.finish(at=now())
        else:
            report.refuse(refusal, at=now())
        _record_outcome(session, caller, report)


def _record_outcome(session: AsyncSession, caller: Principal, report: RegisterImport) -> None:
    """Why a file was refused stays in the report: it may quote the file."""
    audit.record(
        session,
        caller,
        action=f"register import {report.state}",
        subject_id=report.id,
        after={
            "rows_read": report.rows_read,
            "rows_added": report.rows_added,
            "rows_changed": report.rows_changed,
            "rows_unchanged": report.rows_unchanged,
            "rows_refused": report.rows_refused,
        },
    )
