"""What the registry does by the clock."""

from __future__ import annotations

from shared.database import is_infrastructure
from shared.pauses import rest
from shared.runtime import Runtime

from . import usecases
from .settings import RegistrySettings


async def forget(runtime: Runtime) -> None:
    """Every hour remove what has expired: reports on persons and on files, sign-in failures."""
    days = RegistrySettings.of(runtime.settings).person_report_days
    while True:
        try:
            async with runtime.sessions.begin() as session:
                await usecases.forget_reports(session, days)
                await usecases.forget_problems(session, days)
                await usecases.forget_old_failures(session)
        except Exception as error:
            if not is_infrastructure(error):
                raise
        await rest(3600)
