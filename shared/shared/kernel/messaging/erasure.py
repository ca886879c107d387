"""Removes sealed values that a person had erased or corrected from kept events, for good.

The audit, which is never changed, records with ids alone what was erased: below which version a
record of a cooperative may have no sealed value, and up to which moment of the request reports
about an id are removed. What is stored later, such as a dead letter, is checked against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import LargeBinary, Table, cast, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.data.sealed_keys import sealed_keys_of
from shared.kernel.data.tables import AuditRow, DeadLetterRow, OutboxRow
from shared.kernel.encryption.sealed_payloads import MAY_BE_SEALED, parsed, sealed_fields

from .relay import RELAY_LOCK

ACTION: Final = "older sealed values erased"
REPORT: Final = "report_sealed"
_PAGE: Final = 20
ERASURE_LOCK: Final = 0x6572_6173_65  # "erase" in ASCII
"""Shared by transactions that store a body with sealed values, held alone by those that erase:
otherwise each would miss the other's uncommitted rows."""


@dataclass(frozen=True)
class KeptEvents:
    """A table that keeps events: its key, and the column with their bodies."""

    table: Table
    key: str
    body: str = "body"


LOGS: Final = (
    KeptEvents(OutboxRow.__table__, "seq"),  # type: ignore[arg-type]  # a Table
    KeptEvents(DeadLetterRow.__table__, "id"),  # type: ignore[arg-type]  # a Table
)


@dataclass(frozen=True)
class Erased:
    """What was erased: records of a cooperative `below` a version, and reports about an id that
    were requested `until` a moment.

    The moment of the request counts: a service that was down answers much later.
    """

    below: Mapping[UUID, int] = field(default_factory=dict)
    until: Mapping[UUID, datetime] = field(default_factory=dict)

    @property
    def ids(self) -> set[UUID]:
        """The ids of all cooperatives and accounts concerned."""
        return self.below.keys() | self.until.keys()

    def covers(self, holder: Mapping[str, Any], name: str) -> bool:
        """Whether the sealed field of this name in the object `holder` was erased."""
        if name == REPORT:
            requested_at = _moment(holder.get("requested_at")) or _moment(holder.get("occurred_at"))
            return any(
                requested_at is None or requested_at <= self.until[each]
                for each in self._about(holder)
            )
        below = self.below.get(_id(holder.get("cooperative_id")) or _NOBODY)
        version = holder.get("version")
        return below is not None and not (isinstance(version, int) and version >= below)

    def _about(self, holder: Mapping[str, Any]) -> set[UUID]:
        return set(ids_of(holder)) & self.until.keys()

    def without(self, body: bytes) -> bytes | None:
        """The body without what was erased; None where nothing of it was."""
        data, changed = parsed(body), False
        for holder, name in list(sealed_fields(data)):
            if self.covers(holder, name):
                holder[name], changed = None, True
        return orjson.dumps(data) if changed else None


_NOBODY: Final = UUID(int=0)


def ids_of(holder: Mapping[str, Any]) -> list[UUID]:
    """The ids of the cooperatives and accounts that an object with sealed fields is about."""
    named = [holder.get("cooperative_id")]
    for name in ("cooperative_ids", "account_ids"):
        several = holder.get(name)
        named += several if isinstance(several, list) else []
    return [found for each in named if (found := _id(each)) is not None]


def _id(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def remember(session: AsyncSession, erased: Erased) -> None:
    """Record what was erased in the audit, in one row per id."""
    for each in sorted(erased.ids):
        until = erased.until.get(each)
        below = erased.below.get(each)
        after = {"below_version": below, "until": until.isoformat() if until else None}
        audit.record(session, None, action=ACTION, subject_id=each, after=after)


async def recall(session: AsyncSession, ids: Iterable[UUID]) -> Erased:
    """All that was ever erased of these ids, according to the audit."""
    wanted = set(ids)
    below: dict[UUID, int] = {}
    until: dict[UUID, datetime] = {}
    if not wanted:
        return Erased()
    rows = await session.execute(
        select(AuditRow.subject_id, AuditRow.after).where(
            AuditRow.subject_id.in_(wanted), AuditRow.action == ACTION
        )
    )
    for subject, after in rows:
        if after.get("below_version"):
            below[subject] = max(below.get(subject, 0), after["below_version"])
        if moment := _moment(after.get("until")):
            until[subject] = max(until.get(subject, moment), moment)
    return Erased(below, until)


async def cleaned(session: AsyncSession, body: bytes) -> bytes:
    """A body that is about to be stored, without what was erased before it came."""
    if MAY_BE_SEALED not in body:
        return body
    await wait_for_lock(session, ERASURE_LOCK, shared=True)
    about = {each for holder, _ in sealed_fields(parsed(body)) for each in ids_of(holder)}
    return (await recall(session, about)).without(body) or body


async def scrub(
    session: AsyncSession, erased: Erased, logs: Sequence[KeptEvents] = LOGS
) -> dict[str, int]:
    """Remove it from every kept event; the number of changed rows by table.

    It takes the relay's lock, so that the two take turns and neither waits for rows of the other.
    """
    for lock in (RELAY_LOCK, ERASURE_LOCK):
        await wait_for_lock(session, lock)
    return {log.table.name: await _scrub_log(session, erased, log) for log in logs}


async def _scrub_log(session: AsyncSession, erased: Erased, log: KeptEvents) -> int:
    key, body = log.table.c[log.key], log.table.c[log.body]
    named = [str(each).encode() for each in erased.ids]
    given = func.unnest(cast(named, ARRAY(LargeBinary))).column_valued("given")
    names_one = select(1).where(func.position(given.op("IN")(body)) > 0).exists()
    changed, last = 0, None
    while named:
        query = select(key, body).where(names_one).order_by(key).limit(_PAGE)
        if last is not None:
            query = query.where(key > last)
        rows = (await session.execute(query)).all()
        if not rows:
            break
        for number, held in rows:
            if (clean := erased.without(held)) is not None:
                held_by = {log.body: clean, "sealed_keys": sealed_keys_of(clean)}
                new = update(log.table).where(key == number).values(held_by)
                await session.execute(new)
                changed += 1
        last = rows[-1][0]
    return changed
