"""Timed work of funding."""

from __future__ import annotations

from shared.contracts.base import now
from shared.pauses import rest
from shared.runtime import Runtime

from . import usecases

PAUSE_SECONDS = 2.0
"""How late the closing of a call may be announced; refusals at the deadline do not wait for it."""


async def close_expired_calls(runtime: Runtime) -> None:
    """Announce, for ever, the calls whose deadline has passed. Safe in several processes."""
    while True:
        async with runtime.sessions.begin() as session:
            closed = await usecases.close_expired_calls(session, at=now())
        if closed == 0:
            await rest(PAUSE_SECONDS)
