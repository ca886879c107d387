"""Which times given by another process are believed.

It may have said them as long ago as there has been a platform, but hardly later than now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours: far more than clocks that are kept ever differ."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before it there was no platform that could have published anything."""


def moment(value: object) -> datetime | None:
    """The time in a text; None for what is no time, has no zone, or can't have been."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    return found if EARLIEST <= found <= datetime.now(UTC) + AHEAD else None
