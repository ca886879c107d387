"""A job: a name, one unit of its work, and when to look for the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that is done in units, each in a transaction of its own.

    `step` does one unit and returns whether more waits; it commits before it returns, so that a
    process killed in the middle loses nothing. It may run in several processes at once, so it has
    to claim what it works on (`shared.kernel.jobs.claim`, or an advisory lock).

    `notify_channels` are the PostgreSQL channels that notify of new work; `poll_seconds` is the
    longest time between two looks for work. `rest_per_work` is seconds of rest per second of work
    while more waits: 1.0 leaves half of the time to others. `close` releases what the job holds, at
    the end. `outages` are the errors that mean that another dependency of the job is away.
    """

    name: str
    step: Callable[[], Awaitable[bool]]
    poll_seconds: float
    notify_channels: tuple[str, ...] = ()
    rest_per_work: float = 0.0
    close: Callable[[], Awaitable[None]] | None = None
    outages: tuple[type[Exception], ...] = ()


async def work_off(job: Job) -> int:
    """Do units until none is left, in the foreground; how many of them reported that more waits.

    What a unit raises is raised here.
    """
    units = 0
    while await job.step():
        units += 1
    return units
