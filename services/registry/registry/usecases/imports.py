"""Reads a register file into the register: batch by batch, each batch whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from registry.domain import (
    PROBLEMS_KEPT,
    Contact,
    Entry,
    ImportState,
    ImportUnderWay,
    RegisterImport,
    SealedContact,
    record_of,
)
from registry.register_file import FileRefused, Finding, RowVerdict, read_rows
from shared import audit, failpoints
from shared.auth import Principal, Role
from shared.contracts.base import new_id, now
from shared.contracts.registry import BATCH_LIMIT, CooperativeRecord, CooperativesImported
from shared.database import Sessions
from shared.messaging import outbox
from shared.pauses import until
from shared.sealed import Sealer

from .sealing import marks_of, seal_contact

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
    """Good rows go in, wrong ones are reported; equal rows change nothing and announce nothing.

    Each batch is one transaction with at most one event. If the process dies, reading the same
    file again finishes the job, for the batches that went in are equal by then. One import at a
    time: see `_alone`.
    """
    caller.require(Role.OPERATOR)
    batches = _batches(read_rows(lines))
    batch = await asyncio.to_thread(next, batches, ())
    async with _alone(sessions) as check_alone:
        report = await _start(sessions, caller, source)
        intake = _Intake(sealer=sealer, report=report, as_of_on=as_of_on or now().date())
        refusal: str | None = None
        while batch:
            check_alone()
            # The next batch is read while the database writes this one.
            reading = asyncio.create_task(asyncio.to_thread(_next_or_refusal, batches))
            try:
                async with sessions.begin() as session:
                    findings = await intake.put_in(session, batch)
                failpoints.reach("registry.import.batch")
                yield Progress(report=report, findings=findings)
            finally:
                batch, refusal = await reading
        await _end(sessions, report, refusal)
    yield Progress(report=report)


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
    silent, for a frozen process must not keep its locks; so this one gives signs of life.
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


async def _take_lock(holder: AsyncSession) -> None:
    taken = await holder.scalar(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": IMPORT_LOCK}
    )
    if not taken:
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


async def _end(sessions: Sessions, report: RegisterImport, refusal: str | None) -> None:
    async with sessions.begin() as session:
        session.add(report)
        if refusal is None:
            report.finish(at=now())
        else:
            report.refuse(refusal, at=now())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What the register says; the contact only where the person has settled it."""

    digest: str
    is_settled: bool
    sealed: str | None
    mark: str | None

    @property
    def contact(self) -> SealedContact | None:
        if self.sealed is None or self.mark is None:
            return None
        return SealedContact(sealed=self.sealed, mark=self.mark)


@dataclass(kw_only=True)
class _Intake:
    """Puts batches into the register."""

    sealer: Sealer
    report: RegisterImport
    as_of_on: date

    async def put_in(
        self, session: AsyncSession, batch: tuple[RowVerdict, ...]
    ) -> tuple[Finding, ...]:
        """Only rows that are new or say something new are sealed and written."""
        given = [(verdict.entry, verdict.contact) for verdict in batch if verdict.entry is not None]
        known = await _digests(session, [entry.identity for entry, _ in given])
        news = []
        for entry, contact in given:
            before = known.get(entry.identity)
            if before is not None and before.is_settled:
                # The person had it erased or corrected: what a file says of it is not taken.
                if before.digest != models.digest_of(entry, before.mark):
                    news.append((entry, before.contact))
            elif not self._says_the_same(before, entry, contact):
                news.append((entry, seal_contact(self.sealer, contact)))
        records = await self._upsert(session, news) if news else ()
        if records:
            outbox.add(
                session,
                CooperativesImported(
                    batch_id=new_id(), import_id=self.report.id, cooperatives=records
                ),
            )
        return self._count(session, batch, records)

    def _says_the_same(self, known: _Known | None, entry: Entry, contact: Contact | None) -> bool:
        """While keys are rotated, the digest may be that of an older key's mark."""
        if known is None:
            return False
        marks = marks_of(self.sealer, contact) if contact and contact.clear_values() else [None]
        return any(known.digest == models.digest_of(entry, mark) for mark in marks)

    async def _upsert(
        self, session: AsyncSession, news: list[tuple[Entry, SealedContact | None]]
    ) -> tuple[CooperativeRecord, ...]:
        rows = [
            models.entry_values(entry, contact)
            | {
                "id": new_id(),
                "version": 1,
                "source": self.report.source,
                "as_of_on": self.as_of_on,
            }
            for entry, contact in news
        ]
        written = await session.execute(models.UPSERT, {"rows": orjson.dumps(rows).decode()})
        by_identity = {entry.identity: (entry, contact) for entry, contact in news}
        return tuple(
            record_of(*by_identity[row.court_key, row.register_key], id=row.id, version=row.version)
            for row in written
        )

    def _count(
        self,
        session: AsyncSession,
        batch: tuple[RowVerdict, ...],
        records: tuple[CooperativeRecord, ...],
    ) -> tuple[Finding, ...]:
        report = self.report
        session.add(report)
        rows = [verdict for verdict in batch if verdict.is_row]
        good = sum(verdict.entry is not None for verdict in rows)
        added = sum(record.version == 1 for record in records)
        report.rows_read += len(rows)
        report.rows_refused += len(rows) - good
        report.count(added=added, changed=len(records) - added, unchanged=good - len(records))
        findings = tuple(finding for verdict in batch for finding in verdict.findings)
        room = PROBLEMS_KEPT - len(report.problems)
        if findings and room > 0:
            report.problems = [
                *report.problems,
                *(finding.as_data() for finding in findings[:room]),
            ]
        return findings


async def _digests(
    session: AsyncSession, identities: list[tuple[str, str]]
) -> dict[tuple[str, str], _Known]:
    """What the register says already, locked so that nobody changes it meanwhile."""
    found = await session.execute(
        models.DIGESTS,
        {
            "court_keys": [court for court, _ in identities],
            "register_keys": [number for _, number in identities],
        },
    )
    return {
        (row.court_key, row.register_key): _Known(
            digest=row.digest,
            is_settled=row.is_settled,
            sealed=row.contact_sealed,
            mark=row.contact_mark,
        )
        for row in found
    }
