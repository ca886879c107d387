"""The day in Morocco at a moment."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

MOROCCO = ZoneInfo("Africa/Casablanca")


def day_in_morocco(at: datetime) -> date:
    """The calendar day in Morocco at a moment: a call that opens then counts ages on that day."""
    return at.astimezone(MOROCCO).date()
