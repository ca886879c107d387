"""Which times from other processes are accepted: since the platform exists, and not after now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours: far more than synchronised clocks ever differ."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before it no platform existed that could have published anything."""


def moment(value: object) -> datetime | None:
    """The time in an ISO 8601 text; None for what is no time, has no zone, or is not accepted."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    return found if EARLIEST <= found <= datetime.now(UTC) + AHEAD else None
