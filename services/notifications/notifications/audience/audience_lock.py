"""The lock between the audience and fan-outs, so that neither misses the other's uncommitted rows.

A fan-out holds it alone. A backfill shares it with others, and asks for it when the change of the
audience is committed: a fan-out that has missed the change is then waited for, and its subject is
seen. Upserts of the audience share it too, for the sake of moments: these are those of statements,
which come after the lock; the start of a transaction that waited would put it before the other.
Fan-out approvals are decided under it as well, so under it nothing that a fan-out depends on moves.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

AUDIENCE_LOCK = 0x6175_6469  # "audi" in ASCII


async def lock_audience(session: AsyncSession, *, shared: bool) -> None:
    """Until the end of the transaction: alone for a fan-out, together for the rest."""
    function = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    await session.execute(select(function(AUDIENCE_LOCK)))
