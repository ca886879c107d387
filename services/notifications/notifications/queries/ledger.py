"""The ledger of a subject: every alert with the facts that it was told for, in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Sessions
from shared.eligibility import fields_of

from ..models import alert, audience, audience_history
from .rows import AnyRow

BATCH = 5_000
"""Alerts per transaction: none stays open while a slow reader takes its time."""


@dataclass(frozen=True)
class LedgerRow:
    """One alert. The name is today's, everything else is as it was told."""

    cooperative_id: UUID
    name_fr: str | None
    region: str | None
    province: str | None
    sector: str | None
    edition: int
    kind: str
    verdict: str
    unknown_fields: tuple[str, ...]
    subject_version: int
    told_at: datetime


async def ledger_batches(
    sessions: Sessions, subject_id: UUID, *, size: int = BATCH
) -> AsyncIterator[list[LedgerRow]]:
    """Every alert of a subject, by cooperative and edition."""
    after: tuple[UUID, int] | None = None
    while True:
        async with sessions() as session:
            rows = await _batch(session, subject_id, after, size)
        if rows:
            yield [_ledger_row(row) for row in rows]
        if len(rows) < size:
            return
        after = (rows[-1].cooperative_id, rows[-1].edition)


async def _batch(
    session: AsyncSession, subject_id: UUID, after: tuple[UUID, int] | None, size: int
) -> list[AnyRow]:
    key = (alert.c.cooperative_id, alert.c.edition)
    statement = _alerts(subject_id).order_by(*key).limit(size)
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    return list(await session.execute(statement))


def _alerts(subject_id: UUID) -> Select[Any]:
    return (
        select(
            alert,
            audience.c.name_fr,
            audience_history.c.region,
            audience_history.c.province,
            audience_history.c.sector,
        )
        .join(audience, audience.c.cooperative_id == alert.c.cooperative_id)
        .join(
            audience_history,
            (audience_history.c.cooperative_id == alert.c.cooperative_id)
            & (audience_history.c.version == alert.c.audience_version),
        )
        .where(alert.c.subject_id == subject_id)
    )


def _ledger_row(row: AnyRow) -> LedgerRow:
    return LedgerRow(
        cooperative_id=row.cooperative_id,
        name_fr=row.name_fr,
        region=row.region,
        province=row.province,
        sector=row.sector,
        edition=row.edition,
        kind=row.kind,
        verdict="eligible" if row.eligible_tracks else "unknown",
        unknown_fields=fields_of(row.unknown_fields),
        subject_version=row.subject_version,
        told_at=row.created_at,
    )
