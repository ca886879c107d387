"""What funding does by the clock."""

from __future__ import annotations

from shared.contracts.base import now
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from . import usecases

POLL_SECONDS = 2.0
"""A call may stay stored as open so long after its deadline; refusals do not wait for it."""


def close_expired_calls(runtime: Runtime) -> Job:
    """Close the calls whose deadline has passed. Safe in several processes."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            return await usecases.close_expired_calls(session, at=now()) > 0

    return Job(name="close_expired_calls", step=step, poll_seconds=POLL_SECONDS)
