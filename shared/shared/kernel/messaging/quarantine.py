"""Quarantined events, which the relay can't send for a reason of their own: list and release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import NotFound
from shared.kernel.data import audit
from shared.kernel.data.tables import NOTIFY_CHANNEL, OutboxRow
from shared.sentences import Sentence


class NotQuarantined(NotFound):
    """No event of this id is quarantined: list them with `taawon outbox list`."""


class QuarantinedRow(NamedTuple):
    """A quarantined event without its content."""

    event_id: UUID
    topic: str
    last_error: str | None
    attempts: int
    created_at: datetime
    quarantined_at: datetime | None


async def list_quarantined(session: AsyncSession) -> list[QuarantinedRow]:
    """The quarantined events, the oldest first."""
    rows = await session.execute(
        select(
            OutboxRow.event_id,
            OutboxRow.topic,
            OutboxRow.last_error,
            OutboxRow.attempts,
            OutboxRow.created_at,
            OutboxRow.quarantined_at,
        )
        .where(OutboxRow.quarantined_at.is_not(None), OutboxRow.published_at.is_(None))
        .order_by(OutboxRow.seq)
    )
    return [QuarantinedRow(*row) for row in rows]


async def release(session: AsyncSession, events: Sequence[UUID], *, who: str, reason: str) -> int:
    """Let the relay try these events again, or all where none is named; how many there were.

    One that still can't be sent is quarantined again. Raises `NotQuarantined`, and releases none,
    where one of them is not quarantined.
    """
    statement = update(OutboxRow).where(
        OutboxRow.quarantined_at.is_not(None), OutboxRow.published_at.is_(None)
    )
    if events:
        statement = statement.where(OutboxRow.event_id.in_(events))
    released = list(
        await session.scalars(statement.values(quarantined_at=None).returning(OutboxRow.event_id))
    )
    if missing := sorted(set(map(str, events)) - set(map(str, released))):
        raise NotQuarantined(
            Sentence(
                "not quarantined: {missing}; list those that are with `taawon outbox list`",
                missing=", ".join(missing),
            )
        )
    for event_id in released:
        audit.record(
            session,
            None,
            action="quarantined event released",
            subject_id=event_id,
            after={"who": who, "reason": reason},
        )
    if released:
        await session.execute(select(func.pg_notify(NOTIFY_CHANNEL, "")))
    return len(released)
