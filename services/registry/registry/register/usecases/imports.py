"""Importing a register file, batch by batch, each batch whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.business_days import today
from shared.contracts.base import new_id, now
from shared.contracts.registry import BATCH_LIMIT
from shared.kernel import failpoints
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import take_lock
from shared.kernel.data.database import Sessions
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging.outbox import EventTooLarge
from shared.kernel.sleep import until
from shared.sentences import Sentence, sentence_of

from ..domain.cooperative import FileOrigin
from ..domain.imports import ImportState, ImportUnderWay, RegisterImport, RegisterInMotion
from ..models import tables
from ..register_file.decoding import FileRefused, RowBroken
from ..register_file.findings import Finding
from ..register_file.reader import RowVerdict, read_rows
from .erased_contacts import all_erased
from .row_comparison import RowComparer
from .row_upsert import Batch, RowUpsert

log = structlog.get_logger()

OnStart = Callable[[AsyncSession, RegisterImport], None]
"""Adds to the transaction that begins a report."""
IMPORT_LOCK: Final = 7_464
_IDLE_TIMEOUT_QUERY: Final = (
    "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
)
"""Asks how long the database lets a transaction be silent, in milliseconds; 0 is for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The report after one more batch, and what was wrong in that batch."""

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
    on_start: OnStart | None = None,
) -> AsyncGenerator[Progress]:
    """Write the good rows of a file to the register and report the wrong ones. Operators only.

    Rows that say what the register says already change and publish nothing. Each batch is one
    transaction with at most one event. If the process dies, importing the same file again finishes
    the job, for the batches that were written are equal by then.

    The first step comes before the first batch, with a report that says nothing yet. Whoever
    iterates holds the lock of imports, so nobody may be waited for between two steps. `on_start` is
    called in the transaction that begins the report.

    Raises ImportUnderWay while another import runs, and FileRefused, before anything is written, if
    the file can't be read to the end of its first batch; if it can't be read on later, the report
    says so. After any other error the report says that the import failed, where and why.
    """
    caller.require(Role.OPERATOR)
    batches = _batches(read_rows(lines))
    first = await asyncio.to_thread(_next_batch, batches)
    if isinstance(first, FileRefused):
        raise first
    async with _only_import(sessions) as check_lock:
        report = await _start(sessions, caller, source, on_start)
        yield Progress(report=report)
        upsert = RowUpsert(
            sessions=sessions,
            comparer=await _comparer(sessions, sealer, report, as_of_on or today()),
            caller=caller,
            report=report,
        )
        verdicts: tuple[RowVerdict, ...] = ()
        try:
            verdicts = _rows_of(first)
            batch = await upsert.prepare(verdicts)
            while batch.verdicts:
                verdicts = batch.verdicts
                check_lock()
                # The next batch is read and sealed while the database writes this one.
                ahead = asyncio.create_task(_read_ahead(upsert, batches))
                try:
                    async with sessions.begin() as session:
                        findings = await upsert.write(session, batch)
                    failpoints.reach("registry.import.batch")
                    yield Progress(report=report, findings=findings)
                finally:
                    # A thread reads the file: nobody may close it meanwhile.
                    await asyncio.wait([ahead])
                batch = ahead.result()
            report = await _end(sessions, caller, report.id, RegisterImport.finish)
        except FileRefused as error:
            refuse = partial(RegisterImport.refuse, reason=error.detail)
            report = await _end(sessions, caller, report.id, refuse)
        except Exception as error:
            log.exception("register import failed", import_id=str(report.id))
            fail = partial(RegisterImport.fail, reason=_why_failed(error, verdicts))
            report = await _end(sessions, caller, report.id, fail)
    yield Progress(report=report)


async def _comparer(
    sessions: Sessions, sealer: Sealer, report: RegisterImport, as_of_on: date
) -> RowComparer:
    """What was erased can't change during the import: see `block_imports`."""
    origin = FileOrigin(import_id=report.id, source=report.source, as_of_on=as_of_on)
    async with sessions() as session:
        erased = await all_erased(session, sealer)
    return RowComparer(sealer=sealer, erased=erased, origin=origin)


async def _read_ahead(upsert: RowUpsert, batches: Iterator[tuple[RowVerdict, ...]]) -> Batch:
    verdicts = _rows_of(await asyncio.to_thread(_next_batch, batches))
    return await upsert.prepare(verdicts)


def _rows_of(batch: tuple[RowVerdict, ...] | FileRefused | RowBroken) -> tuple[RowVerdict, ...]:
    if isinstance(batch, Exception):
        raise batch
    return batch


def _next_batch(
    batches: Iterator[tuple[RowVerdict, ...]],
) -> tuple[RowVerdict, ...] | FileRefused | RowBroken:
    """The next batch, empty at the end of the file, or why it can't be read."""
    try:
        return next(batches, ())
    except (FileRefused, RowBroken) as error:
        return error


def _why_failed(error: Exception, verdicts: tuple[RowVerdict, ...]) -> Sentence:
    """In words, with the line and without any value: those may be somebody's."""
    if isinstance(error, RowBroken):
        where = Sentence("line {line} could not be read", line=error.line)
    elif verdicts:
        where = Sentence(
            "lines {first} to {last} could not be written",
            first=verdicts[0].line,
            last=verdicts[-1].line,
        )
    else:
        where = Sentence("the file could not be read")
    return Sentence(
        "{where}, {cause}. What was imported before stays, as counted here. Import the same file"
        " again to go on; if it fails again, send these words and the log to whoever maintains the"
        " service",
        where=where,
        cause=_cause_of(error),
    )


def _cause_of(error: Exception) -> Sentence:
    if isinstance(error, EventTooLarge):  # it names sizes and a field, no value
        return Sentence("because {why}", why=sentence_of(error))
    return Sentence(
        "for an unexpected error ({error})", error=type(error.__cause__ or error).__name__
    )


def _batches(verdicts: Iterator[RowVerdict]) -> Iterator[tuple[RowVerdict, ...]]:
    """Batches of as many rows as one event may carry."""
    while batch := tuple(islice(verdicts, BATCH_LIMIT)):
        yield batch


@asynccontextmanager
async def _only_import(sessions: Sessions) -> AsyncIterator[Callable[[], None]]:
    """Hold the lock of imports; yields a function that raises once the lock is lost.

    A transaction holds it, so that it ends with the process. The database ends transactions that
    stay silent, for a frozen process must not keep its locks; so this one queries regularly. It may
    last as long as the file takes: it has no limit of its duration.
    """
    async with sessions() as holder:
        await _take_lock(holder)
        ended = asyncio.Event()
        keeping_alive = asyncio.create_task(_keep_alive(holder, ended))

        def check() -> None:
            if keeping_alive.done():
                keeping_alive.result()

        try:
            yield check
        finally:
            ended.set()
            await keeping_alive
        await holder.commit()


async def delete_problems(session: AsyncSession, days: int) -> int:
    """Delete the problems of imports that started more than `days` ago; their counts stay.

    Returns how many reports had any.
    """
    table = tables.register_import
    old = table.c.started_at < func.now() - timedelta(days=days)
    erased = await session.execute(
        update(table).where(old, table.c.problems != []).values(problems=[])
    )
    return int(erased.rowcount)  # type: ignore[attr-defined]  # a cursor's


async def block_imports(session: AsyncSession) -> None:
    """Let no import begin until this transaction ends. Raises RegisterInMotion while one runs.

    Rows that an import has read and not yet written can't be searched.
    """
    if not await take_lock(session, IMPORT_LOCK, shared=True):
        raise RegisterInMotion


async def _take_lock(holder: AsyncSession) -> None:
    await holder.execute(text("SET LOCAL transaction_timeout = 0"))
    if not await take_lock(holder, IMPORT_LOCK):
        raise ImportUnderWay


async def _keep_alive(holder: AsyncSession, ended: asyncio.Event) -> None:
    """Query three times in the time after which the database would end the transaction."""
    timeout = await holder.scalar(text(_IDLE_TIMEOUT_QUERY))
    pause = min(5.0, timeout / 3000) if timeout else 5.0
    while not ended.is_set():
        await until(ended, pause)
        await holder.execute(select(1))


async def _start(
    sessions: Sessions, caller: Principal, source: str, on_start: OnStart | None
) -> RegisterImport:
    """Begin a report. Only one import holds the lock, so any other that still runs has died."""
    async with sessions.begin() as session:
        await _interrupt_dead(session, caller)
        report = RegisterImport(id=new_id(), source=source, started_at=now())
        session.add(report)
        audit.record(
            session,
            caller,
            action="register import started",
            subject_id=report.id,
            after={"source": source},
        )
        if on_start is not None:
            on_start(session, report)
    return report


async def interrupt_dead_imports(session: AsyncSession, caller: Principal) -> int:
    """Mark imports whose process died as interrupted; how many there were.

    One that still runs holds the lock of imports, so without that lock none is marked.
    """
    running = select(func.count()).where(tables.register_import.c.state == ImportState.RUNNING)
    if not await session.scalar(running):
        return 0
    if not await take_lock(session, IMPORT_LOCK, shared=True):
        return 0
    return await _interrupt_dead(session, caller)


async def _interrupt_dead(session: AsyncSession, caller: Principal) -> int:
    query = select(RegisterImport).filter_by(state=ImportState.RUNNING).with_for_update()
    dead = (await session.scalars(query)).all()
    for each in dead:
        each.interrupt(at=now())
        _record_outcome(session, caller, each)
    return len(dead)


async def _end(
    sessions: Sessions, caller: Principal, import_id: UUID, move: Callable[..., None]
) -> RegisterImport:
    """Read the report as the last batch left it, and let it move to its last state."""
    async with sessions.begin() as session:
        report = await session.get_one(RegisterImport, import_id, with_for_update=True)
        move(report, at=now())
        _record_outcome(session, caller, report)
    return report


def _record_outcome(session: AsyncSession, caller: Principal, report: RegisterImport) -> None:
    """Audit the counts. Why a file was refused stays out of the audit: it may quote the file."""
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
