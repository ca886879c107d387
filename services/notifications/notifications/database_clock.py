"""The clock of the database, which dates every history of notifications; and its day in Morocco."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

MOROCCO = ZoneInfo("Africa/Casablanca")


def day_in_morocco(at: datetime) -> date:
    """The calendar day in Morocco at a moment: a call that opens then counts ages on that day."""
    return at.astimezone(MOROCCO).date()


async def moment(session: AsyncSession) -> datetime:
    """The present of the database: not the start of the transaction, which may have waited for a
    lock since."""
    found = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found
