"""What identity does by the clock."""

from __future__ import annotations

from shared.kernel.jobs.job import Job
from shared.kernel.runtime import Runtime

from .usecases import known_devices, login_throttling


def delete_old_failures(runtime: Runtime) -> Job:
    """Every hour delete failed sign-ins that count no more and are shown to nobody."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await login_throttling.delete_old_failures(session)
        return False

    return Job(name="login_failures_retention", step=step, poll_seconds=3600)


def delete_expired_devices(runtime: Runtime) -> Job:
    """Every hour delete devices that are known no more."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await known_devices.delete_expired_devices(session)
        return False

    return Job(name="known_devices_retention", step=step, poll_seconds=3600)
