"""Deletes what is past its retention: sent events, rows of the inbox, decided dead letters."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

INBOX_FACTOR = 4
"""Rows of the inbox are kept this many times as long as sent events, which may be sent again."""

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
    """Delete events sent more than so many days ago, and inbox rows four times as old.

    Returns how many events it deleted. Up to when they were written is stored, so that a replay of
    the log can tell that part of its range is gone.
    """
    async with engine.begin() as tx:
        sent = await tx.scalar(_DELETE_OLD, {"days": days})
        await tx.execute(_DELETE_INBOX, {"days": days * INBOX_FACTOR})
        return int(sent or 0)


async def delete_decided(engine: AsyncEngine, days: int) -> None:
    """Delete dead letters decided more than so many days ago; the audit keeps the decisions."""
    async with engine.begin() as tx:
        await tx.execute(_DELETE_DECIDED, {"days": days})
