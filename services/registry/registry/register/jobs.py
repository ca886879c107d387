"""What the register does by the clock."""

from __future__ import annotations

from registry.settings import RegistrySettings
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import erased_contacts, imports

DEAD_IMPORTS_SECONDS = 10


def delete_problems(runtime: Runtime) -> Job:
    """Every hour delete the problems of imports that are older than reports are kept."""
    days = RegistrySettings.of(runtime.settings).person_report_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await imports.delete_problems(session, days)
        return False

    return Job(name="import_problems_retention", step=step, poll_seconds=3600)


def interrupt_dead_imports(runtime: Runtime) -> Job:
    """Mark imports whose process died as interrupted, within seconds."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await imports.interrupt_dead_imports(session, LOCAL_OPERATOR)
        return False

    return Job(name="dead_imports", step=step, poll_seconds=DEAD_IMPORTS_SECONDS)


def delete_old_erased(runtime: Runtime) -> Job:
    """Every hour stop remembering contacts that were erased long ago."""
    days = RegistrySettings.of(runtime.settings).erased_contact_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await erased_contacts.delete_old_erased(session, days)
        return False

    return Job(name="erased_contacts_retention", step=step, poll_seconds=3600)
