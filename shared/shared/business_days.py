"""The day in Morocco: whatever has a date here, a deadline, an age, a file, has it there.

For an hour of each night UTC still names the day before, except in Ramadan. So no date is derived
from an instant but by these functions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

MOROCCO: Final = ZoneInfo("Africa/Casablanca")


def business_day(at: datetime) -> date:
    """The calendar day in Morocco at a moment, which has to name its zone."""
    assert at.tzinfo is not None
    return at.astimezone(MOROCCO).date()


def today() -> date:
    """The day in Morocco now."""
    return business_day(_now())


def _now() -> datetime:
    return datetime.now(UTC)
