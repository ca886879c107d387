"""What privacy does by the clock."""

from __future__ import annotations

from registry.settings import RegistrySettings
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import person_responses, proposals


def delete_reports(runtime: Runtime) -> Job:
    """Every hour delete reports on persons that have expired."""
    days = RegistrySettings.of(runtime.settings).person_report_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await person_responses.delete_reports(session, days)
        return False

    return Job(name="person_reports_retention", step=step, poll_seconds=3600)


def expire_proposals(runtime: Runtime) -> Job:
    """Every ten minutes end the proposals that nobody confirmed in time."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await proposals.expire_old_proposals(session)
        return False

    return Job(name="person_proposals_expiry", step=step, poll_seconds=600)
