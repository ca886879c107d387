"""Publishing the kept log again, for a broker that came back empty."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import now
from shared.kernel.data import audit
from shared.kernel.data.tables import NOTIFY_CHANNEL, OutboxRow

from .replay.domain import BeginsInTheFuture


async def republish(session: AsyncSession, since: datetime, *, who: str, reason: str) -> int:
    """Let the relay publish every kept event written since then again; how many there are.

    They go to every consumer under the same ids: one that has finished an event finds it in its
    inbox, which is kept longer than this log, and does nothing. Pending and quarantined events stay
    as they are. Raises BeginsInTheFuture.
    """
    if since >= now():
        raise BeginsInTheFuture(field="since")
    published = OutboxRow.published_at.is_not(None) & (OutboxRow.created_at >= since)
    result = await session.execute(
        update(OutboxRow).where(published).values(published_at=None, attempts=0)
    )
    count = int(result.rowcount)  # type: ignore[attr-defined]  # a cursor result, being an update
    if count:
        audit.record(
            session,
            None,
            action="log republished",
            after={"since": since.isoformat(), "events": count, "who": who, "reason": reason},
        )
        await session.execute(select(func.pg_notify(NOTIFY_CHANNEL, "")))
    return count
