"""What is kept for so long and no longer: sent events, marks of handled ones, decided letters."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

INBOX_FACTOR = 4
"""A mark of a handled event is kept this many times longer than the event could be sent again."""

_DELETE_OLD = text(
    """
WITH gone AS (
    DELETE FROM outbox WHERE published_at < now() - make_interval(days => :days)
    RETURNING created_at
), noted AS (
    INSERT INTO outbox_horizon (id, deleted_until)
    SELECT 1, max(created_at) FROM gone HAVING count(*) > 0
    ON CONFLICT (id) DO UPDATE SET
        deleted_until = greatest(outbox_horizon.deleted_until, excluded.deleted_until)
)
SELECT count(*) FROM gone
"""
)
_DELETE_INBOX = text("DELETE FROM inbox WHERE received_at < now() - make_interval(days => :days)")
_DELETE_DECIDED = text(
    """
DELETE FROM dead_letter
WHERE state <> 'dead' AND decided_at < now() - make_interval(days => :days)
"""
)


async def delete_settled(engine: AsyncEngine, days: int) -> int:
    """Remove events sent longer ago than the retention, and older inbox marks; how many events.

    How far the log has been trimmed is noted: whoever replays it can see that part is gone.
    """
    async with engine.begin() as tx:
        sent = await tx.scalar(_DELETE_OLD, {"days": days})
        await tx.execute(_DELETE_INBOX, {"days": days * INBOX_FACTOR})
        return int(sent or 0)


async def delete_decided(engine: AsyncEngine, days: int) -> None:
    """Remove dead letters that were decided longer ago than that; who and why is in the audit."""
    async with engine.begin() as tx:
        await tx.execute(_DELETE_DECIDED, {"days": days})
