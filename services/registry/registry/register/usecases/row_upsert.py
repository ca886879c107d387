"""Writing those rows of a register file that are new or differ from the register."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id
from shared.contracts.registry import CooperativeRecord, CooperativesImported
from shared.kernel import context
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.kernel.data.database import Sessions
from shared.kernel.messaging import outbox

from ..domain.cooperative import Cooperative, record_of
from ..domain.imports import PROBLEMS_KEPT, RegisterImport
from ..models import rows as cooperative_rows
from ..models import statements, tables
from ..register_file.findings import Finding
from ..register_file.reader import RowVerdict
from .row_comparison import Comparison, Identity, Known, RowChange, RowComparer


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Rows of the file, and which of them differed from the register when they were read."""

    verdicts: tuple[RowVerdict, ...]
    by_identity: dict[Identity, RowVerdict]
    known: dict[Identity, Known]
    compared: Comparison


@dataclass(kw_only=True)
class RowUpsert:
    """Writes the batches of one import into the register."""

    sessions: Sessions
    comparer: RowComparer
    caller: Principal
    report: RegisterImport

    @property
    def as_of_on(self) -> date:
        """The day as of which the file is true."""
        return self.comparer.origin.as_of_on

    async def prepare(self, verdicts: tuple[RowVerdict, ...]) -> Batch:
        """Find and seal what differs: all that can be done before rows are locked."""
        by_identity = {each.entry.identity: each for each in verdicts if each.entry is not None}
        async with self.sessions() as session:
            known = await self._known(session, by_identity, locked=False)
        compared = await asyncio.to_thread(self.comparer.compare, by_identity, known)
        if compared.undecided:
            async with self.sessions() as session:
                compared = await self._decided(session, compared, by_identity, known)
        return Batch(verdicts=verdicts, by_identity=by_identity, known=known, compared=compared)

    async def write(self, session: AsyncSession, batch: Batch) -> tuple[Finding, ...]:
        """Write, audit and publish what differs; returns what is wrong in the batch.

        Rows that somebody changed since `prepare` are compared again, under a lock.
        """
        known = await self._known(session, batch.by_identity, locked=True)
        outdated = {
            identity: verdict
            for identity, verdict in batch.by_identity.items()
            if known.get(identity) != batch.known.get(identity)
        }
        newer = self.comparer.compare(outdated, known)
        if newer.undecided:
            newer = await self._decided(session, newer, outdated, known)
        compared = batch.compared.with_newer(newer, outdated)
        changes = compared.changes
        audited = await self._audit(
            session, {identity: each for identity, each in changes.items() if identity in known}
        )
        records = await self._upsert(session, changes)
        self._audit_concurrent(session, audited, records)
        await self._confirm(session, known)
        events = self._publish(session, records)
        return self._count(session, batch.verdicts, records, compared.notes, events=events)

    def _publish(self, session: AsyncSession, records: Sequence[CooperativeRecord]) -> int:
        """Publish what was written, in as few events as consumers take; how many there are."""
        events = list(outbox.divided(records, self._batch_of)) if records else []
        for event in events:
            outbox.add(session, event)
        return len(events)

    def _batch_of(self, records: Sequence[CooperativeRecord]) -> CooperativesImported:
        return CooperativesImported(
            batch_id=new_id(), import_id=self.report.id, cooperatives=tuple(records)
        )

    async def _decided(
        self,
        session: AsyncSession,
        compared: Comparison,
        by_identity: Mapping[Identity, RowVerdict],
        known: Mapping[Identity, Known],
    ) -> Comparison:
        """The same with those decided that were undecided: what is known of them is read whole."""
        whole = await _whole(session, compared.undecided)
        there = {each: replace(known[each], whole=whole[each]) for each in whole}
        rows = {each: by_identity[each] for each in whole}
        return compared.with_newer(self.comparer.compare(rows, there), rows)

    async def _audit(
        self, session: AsyncSession, changes: Mapping[Identity, RowChange]
    ) -> set[UUID]:
        """Audit changes before they are written; a new cooperative names its import itself."""
        if not changes:
            return set()
        audited = await session.scalars(
            statements.AUDIT_CHANGES,
            {
                "rows": _as_json(changes),
                "actor_id": self.caller.subject,
                "actor_roles": sorted(self.caller.roles),
                "import_id": str(self.report.id),
                "correlation_id": context.current().correlation_id,
            },
        )
        return set(audited)

    def _audit_concurrent(
        self, session: AsyncSession, audited: set[UUID], records: Sequence[CooperativeRecord]
    ) -> None:
        """Audit the change of what somebody entered after `known` was read, without old values."""
        for record in records:
            if record.version > 1 and record.cooperative_id not in audited:
                audit.record(
                    session,
                    self.caller,
                    action=statements.CHANGED_BY_IMPORT,
                    subject_id=record.cooperative_id,
                    after={"import_id": str(self.report.id)},
                )

    async def _upsert(
        self, session: AsyncSession, changes: Mapping[Identity, RowChange]
    ) -> tuple[CooperativeRecord, ...]:
        if not changes:
            return ()
        written = await session.execute(statements.UPSERT, {"rows": _as_json(changes)})
        return tuple(
            record_of(change.entry, change.contact, id=row.id, version=row.version)
            for row in written
            for change in (changes[row.court_key, row.register_key],)
        )

    async def _confirm(self, session: AsyncSession, known: Mapping[Identity, Known]) -> None:
        """Note for rows that say the same that they are true as of a later day than was known."""
        older = [identity for identity, each in known.items() if each.as_of_on < self.as_of_on]
        if older:
            await session.execute(
                statements.CONFIRM,
                {
                    "source": self.report.source,
                    "as_of_on": self.as_of_on,
                    "import_id": self.report.id,
                    "court_keys": [court for court, _ in older],
                    "register_keys": [number for _, number in older],
                },
            )

    async def _known(
        self, session: AsyncSession, by_identity: Mapping[Identity, RowVerdict], *, locked: bool
    ) -> dict[Identity, Known]:
        """Those of the cooperatives that are in the register, whole where values are weighed."""
        known = await _known(session, by_identity, locked=locked)
        weighed = [
            identity
            for identity, each in known.items()
            if each.has_own_origins or each.as_of_on > self.as_of_on or by_identity[identity].unread
        ]
        for identity, whole in (await _whole(session, weighed)).items():
            known[identity] = replace(known[identity], whole=whole)
        return known

    def _count(
        self,
        session: AsyncSession,
        verdicts: Sequence[RowVerdict],
        records: Sequence[CooperativeRecord],
        notes: Mapping[Identity, tuple[Finding, ...]],
        *,
        events: int,
    ) -> tuple[Finding, ...]:
        report = self.report
        session.add(report)
        rows = [verdict for verdict in verdicts if verdict.is_row]
        good = sum(verdict.entry is not None for verdict in rows)
        added = sum(record.version == 1 for record in records)
        report.rows_read += len(rows)
        report.rows_refused += len(rows) - good
        changed = len(records) - added
        unchanged = good - len(records)
        report.count(added=added, changed=changed, unchanged=unchanged, events=events)
        findings = tuple(
            finding.under(verdict.headers)
            for verdict in verdicts
            for finding in (
                *verdict.findings,
                *(notes.get(verdict.entry.identity, ()) if verdict.entry else ()),
            )
        )
        report.problems_total += len(findings)
        room = PROBLEMS_KEPT - len(report.problems)
        if findings and room > 0:
            report.problems = [
                *report.problems,
                *(finding.as_data() for finding in findings[:room]),
            ]
        return findings


def _as_json(changes: Mapping[Identity, RowChange]) -> str:
    return orjson.dumps([each.row for each in changes.values()]).decode()


async def _known(
    session: AsyncSession, identities: Iterable[Identity], *, locked: bool
) -> dict[Identity, Known]:
    """Those of the cooperatives that are in the register; `locked` until the transaction ends."""
    wanted = list(identities)
    if not wanted:
        return {}
    found = await session.execute(
        statements.KNOWN_LOCKED if locked else statements.KNOWN,
        {
            "court_keys": [court for court, _ in wanted],
            "register_keys": [number for _, number in wanted],
        },
    )
    return {
        (row.court_key, row.register_key): Known(
            digest=row.digest,
            is_settled=row.is_settled,
            sealed=row.contact_sealed,
            mark=row.contact_mark,
            as_of_on=row.as_of_on,
            has_own_origins=row.has_own_origins,
        )
        for row in found
    }


async def _whole(
    session: AsyncSession, identities: Sequence[Identity]
) -> dict[Identity, Cooperative]:
    if not identities:
        return {}
    table = tables.cooperative
    keys = tuple_(table.c.court_key, table.c.register_key)
    found = await session.execute(select(table).where(keys.in_(identities)))
    return {
        (row["court_key"], row["register_key"]): cooperative_rows.cooperative_from(dict(row))
        for row in found.mappings()
    }
