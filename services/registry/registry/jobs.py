"""What the registry does by the clock."""

from __future__ import annotations

from shared.jobs import Job
from shared.runtime import Runtime

from . import usecases
from .settings import RegistrySettings


def forget(runtime: Runtime) -> Job:
    """Every hour remove what has expired: reports on persons and on files, sign-in failures."""
    days = RegistrySettings.of(runtime.settings).person_report_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await usecases.forget_reports(session, days)
            await usecases.forget_problems(session, days)
            await usecases.forget_old_failures(session)
        return False

    return Job(name="registry_retention", step=step, poll_seconds=3600)
