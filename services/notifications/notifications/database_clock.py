"""The database's own clock, by which every history of notifications is kept; its day in Morocco."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

MOROCCO = ZoneInfo("Africa/Casablanca")


def day_in_morocco(at: datetime) -> date:
    """The day that a calendar there shows: a call that opens then counts ages on it."""
    return at.astimezone(MOROCCO).date()


async def moment(session: AsyncSession) -> datetime:
    """This moment; not the start of the transaction, which may have waited for a lock."""
    found = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found
