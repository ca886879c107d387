"""The database's own clock, by which every history of notifications is kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def moment(session: AsyncSession) -> datetime:
    """This moment; not the start of the transaction, which may have waited for a lock."""
    found = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found
