"""The job that backfills alerts."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from notifications.audience.models import CHANGE_CHANNEL
from shared.kernel.data.database import Sessions
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import backfill, fanout_approval

log = structlog.get_logger()


def backfill_alerts(runtime: Runtime) -> Job:
    """Alert those who match an open subject since the audience changed.

    Then fan out the subjects that still wait after a release of everything. It may run in several
    processes.
    """
    steps = BackfillSteps(runtime.sessions)

    async def step() -> bool:
        return await steps.step() or await _fan_out_waiting(runtime.sessions)

    return Job(
        name="backfill",
        step=step,
        poll_seconds=runtime.settings.relay_poll_seconds,
        notify_channels=(CHANGE_CHANNEL,),
    )


@dataclass
class BackfillSteps:
    """The steps of one process. `most` is how many cooperatives a statement matches at most.

    It is halved after a failure, so that a step which took longer than the database allows is not
    tried for ever; and doubled after a success.
    """

    sessions: Sessions
    most: int = backfill.MOST_COOPERATIVES

    async def step(self) -> bool:
        """Work on the next note of changed cooperatives; False where there is none."""
        try:
            async with self.sessions.begin() as session:
                found = await backfill.backfill_alerts(session, most=self.most)
        except Exception:
            self.most = max(self.most // 2, 1)
            log.warning("backfill goes on with fewer at once", cooperatives=self.most)
            raise
        self.most = min(self.most * 2, backfill.MOST_COOPERATIVES)
        return found


async def _fan_out_waiting(sessions: Sessions) -> bool:
    """Fan out the next subject that waits; False where there is none."""
    async with sessions.begin() as session:
        return await fanout_approval.fan_out_waiting(session)
