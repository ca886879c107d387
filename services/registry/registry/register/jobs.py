"""What the register does by the clock."""

from __future__ import annotations

from registry.settings import RegistrySettings
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import imports


def delete_problems(runtime: Runtime) -> Job:
    """Every hour delete the problems of imports that are older than reports are kept."""
    days = RegistrySettings.of(runtime.settings).person_report_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await imports.delete_problems(session, days)
        return False

    return Job(name="import_problems_retention", step=step, poll_seconds=3600)
