"""Timed work of funding."""

from __future__ import annotations

from shared.contracts.base import now
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from . import usecases

PAUSE_SECONDS = 2.0
"""How late the closing of a call may be published; refusals at the deadline do not wait for it."""


def close_expired_calls(runtime: Runtime) -> Job:
    """Announce the calls whose deadline has passed. Safe in several processes."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            return await usecases.close_expired_calls(session, at=now()) > 0

    return Job(name="close_expired_calls", step=step, poll_seconds=PAUSE_SECONDS)
