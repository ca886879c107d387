"""Writing those rows of a register file that are new or differ from the register."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id
from shared.contracts.registry import CooperativeRecord, CooperativesImported
from shared.kernel import context
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.kernel.data.database import Sessions
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox

from ..contact_sealing import marks_of, seal_contact
from ..domain.cooperative import Contact, Entry, SealedContact, record_of
from ..domain.imports import PROBLEMS_KEPT, RegisterImport
from ..models import rows as cooperative_rows
from ..models import statements
from ..register_file.findings import Finding
from ..register_file.reader import RowVerdict

Identity = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The digest of a cooperative in the register; its contact only if the person settled it."""

    digest: str
    is_settled: bool
    sealed: str | None
    mark: str | None

    @property
    def contact(self) -> SealedContact | None:
        """The settled contact; None if it was erased."""
        if self.sealed is None or self.mark is None:
            return None
        return SealedContact(sealed=self.sealed, mark=self.mark)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """An entry that is new or differs, with its contact sealed, as a row."""

    entry: Entry
    contact: SealedContact | None
    row: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Rows of the file, and which of them differed from the register when they were read."""

    verdicts: tuple[RowVerdict, ...]
    by_identity: dict[Identity, RowVerdict]
    known: dict[Identity, Known]
    changes: dict[Identity, RowChange]


@dataclass(kw_only=True)
class RowUpsert:
    """Writes the batches of one import into the register."""

    sessions: Sessions
    sealer: Sealer
    caller: Principal
    report: RegisterImport
    as_of_on: date

    async def prepare(self, verdicts: tuple[RowVerdict, ...]) -> Batch:
        """Find and seal what differs: all that can be done before rows are locked."""
        by_identity = {each.entry.identity: each for each in verdicts if each.entry is not None}
        async with self.sessions() as session:
            known = await _known(session, by_identity, locked=False)
        changes = await asyncio.to_thread(self._changes, by_identity, known)
        return Batch(verdicts=verdicts, by_identity=by_identity, known=known, changes=changes)

    async def write(self, session: AsyncSession, batch: Batch) -> tuple[Finding, ...]:
        """Write, audit and publish what differs; returns what is wrong in the batch.

        Rows that somebody changed since `prepare` are compared again, under a lock.
        """
        known = await _known(session, batch.by_identity, locked=True)
        outdated = {
            identity: verdict
            for identity, verdict in batch.by_identity.items()
            if known.get(identity) != batch.known.get(identity)
        }
        kept = {
            identity: each for identity, each in batch.changes.items() if identity not in outdated
        }
        changes = kept | self._changes(outdated, known)
        audited = await self._audit(
            session, {identity: each for identity, each in changes.items() if identity in known}
        )
        records = await self._upsert(session, changes)
        self._audit_concurrent(session, audited, records)
        if records:
            outbox.add(
                session,
                CooperativesImported(
                    batch_id=new_id(), import_id=self.report.id, cooperatives=records
                ),
            )
        return self._count(session, batch.verdicts, records)

    def _changes(
        self, by_identity: Mapping[Identity, RowVerdict], known: Mapping[Identity, Known]
    ) -> dict[Identity, RowChange]:
        """The rows that are new or differ; only these are sealed and written."""
        changes = {}
        for identity, verdict in by_identity.items():
            entry, before = verdict.entry, known.get(identity)
            assert entry is not None
            if before is not None and before.is_settled:
                # The person had the contact erased or corrected: that of the file is not taken.
                if before.digest != cooperative_rows.digest_of(entry, before.mark):
                    changes[identity] = self._as_row(entry, before.contact)
            elif not self._is_unchanged(before, entry, verdict.contact):
                changes[identity] = self._as_row(entry, seal_contact(self.sealer, verdict.contact))
        return changes

    def _is_unchanged(self, known: Known | None, entry: Entry, contact: Contact | None) -> bool:
        """Compared under the mark of each key: the stored one may be of an older key."""
        if known is None:
            return False
        marks = marks_of(self.sealer, contact) if contact and contact.clear_values() else [None]
        return any(known.digest == cooperative_rows.digest_of(entry, mark) for mark in marks)

    def _as_row(self, entry: Entry, contact: SealedContact | None) -> RowChange:
        row = cooperative_rows.entry_values(entry, contact) | {
            "id": new_id(),
            "version": 1,
            "source": self.report.source,
            "as_of_on": self.as_of_on,
            "import_id": self.report.id,
        }
        return RowChange(entry=entry, contact=contact, row=row)

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

    def _count(
        self,
        session: AsyncSession,
        verdicts: Sequence[RowVerdict],
        records: Sequence[CooperativeRecord],
    ) -> tuple[Finding, ...]:
        report = self.report
        session.add(report)
        rows = [verdict for verdict in verdicts if verdict.is_row]
        good = sum(verdict.entry is not None for verdict in rows)
        added = sum(record.version == 1 for record in records)
        report.rows_read += len(rows)
        report.rows_refused += len(rows) - good
        report.count(added=added, changed=len(records) - added, unchanged=good - len(records))
        findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
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
        )
        for row in found
    }
