"""The job that backfills alerts."""

from __future__ import annotations

from notifications.audience.models import CHANGE_CHANNEL
from shared.kernel.data.database import Sessions
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import backfill, fanout_approval


def backfill_alerts(runtime: Runtime) -> Job:
    """Alert those who match an open subject since the audience changed.

    Then fan out the subjects that still wait after a release of everything. It may run in several
    processes.
    """

    async def step() -> bool:
        return await _backfill(runtime.sessions) or await _fan_out_waiting(runtime.sessions)

    return Job(
        name="backfill",
        step=step,
        poll_seconds=runtime.settings.relay_poll_seconds,
        notify_channels=(CHANGE_CHANNEL,),
    )


async def _backfill(sessions: Sessions) -> bool:
    """Work on the next notes of changed cooperatives; False where there are none."""
    async with sessions.begin() as session:
        return await backfill.backfill_alerts(session)


async def _fan_out_waiting(sessions: Sessions) -> bool:
    """Fan out the next subject that waits; False where there is none."""
    async with sessions.begin() as session:
        return await fanout_approval.fan_out_waiting(session)
