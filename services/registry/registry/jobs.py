"""What the registry does by the clock."""

from __future__ import annotations

from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .identity.usecases import login_throttling
from .privacy.usecases import answers
from .register.usecases import imports
from .settings import RegistrySettings


def forget(runtime: Runtime) -> Job:
    """Every hour remove what has expired: reports on persons and on files, sign-in failures."""
    days = RegistrySettings.of(runtime.settings).person_report_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await answers.forget_reports(session, days)
            await imports.forget_problems(session, days)
            await login_throttling.forget_old_failures(session)
        return False

    return Job(name="registry_retention", step=step, poll_seconds=3600)
