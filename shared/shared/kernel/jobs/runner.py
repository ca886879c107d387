"""Runs jobs: on notification or by the clock, with back-off after failures and a graceful stop.

Every job has a task of its own, so that one that fails or is slow keeps no other waiting.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter, Gauge

from shared.kernel.data.database import is_infrastructure
from shared.kernel.data.pg_notify import NotifyListener
from shared.kernel.messaging.publisher import CONNECTION_ERRORS
from shared.kernel.sleep import until

from .job import Job

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_OUTAGE_PAUSE_SECONDS = 5.0
"""Longest pause while the database, the broker or another dependency is away."""
LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause after any other failure, which nobody may repair for hours."""

LAST_RUN = Gauge(
    "taawon_job_last_run_timestamp_seconds",
    "When the job last did a unit of work or found none, Unix time.",
    ["name"],  # `job` is what Prometheus calls the scrape
)
FAILURES = Counter("taawon_job_failures_total", "Units of work that failed.", ["name"])


@dataclass
class Loop:
    """Runs one job: it does units, waits, and backs off after failures."""

    job: Job
    notified: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    _outage: bool = False

    def __post_init__(self) -> None:
        FAILURES.labels(self.job.name)  # a series that begins at 0 shows its first rise

    async def run(self) -> None:
        """Do units until stopped; the unit in hand is finished first."""
        while not self.stopping.is_set():
            began = time.monotonic()
            more = await self.turn()
            if self.failures:
                await until(self.stopping, self.pause_seconds)
            elif more:
                await self._leave_time_to_others(time.monotonic() - began)
            else:
                # Both notifications and `stop` set this event.
                await until(self.notified, self.job.poll_seconds)

    async def turn(self) -> bool:
        """Do one unit; whether more waits. A failure is logged and counted, never raised."""
        self.notified.clear()  # before the unit, so that a commit during it starts the next one
        try:
            more = await self.job.step()
        except Exception as error:
            self._note_failure(error)
            return False
        if self.failures and self._outage:
            log.info("background work goes on", job=self.job.name)
        self.failures = 0
        LAST_RUN.labels(self.job.name).set_to_current_time()
        return more

    def stop(self) -> None:
        """Begin no further unit; a pause ends now."""
        self.stopping.set()
        self.notified.set()

    @property
    def pause_seconds(self) -> float:
        """The pause after a failure: it doubles with each in a row up to a limit; then a random
        factor of 0.5 to 1 shortens it.
        """
        longest = LONGEST_OUTAGE_PAUSE_SECONDS if self._outage else LONGEST_PAUSE_SECONDS
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.failures - 1, 20), longest)
        return pause * random.uniform(0.5, 1.0)

    def _note_failure(self, error: Exception) -> None:
        away: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, *self.job.outages)
        self._outage = is_infrastructure(error) or isinstance(error, away)
        self.failures += 1
        FAILURES.labels(self.job.name).inc()
        if not self._outage:
            log.exception("background work failed", job=self.job.name, failures=self.failures)
        elif self.failures == 1:
            log.warning("background work waits", job=self.job.name, error=type(error).__name__)

    async def _leave_time_to_others(self, worked_seconds: float) -> None:
        """At least one turn of the event loop, so that a unit without I/O blocks nobody."""
        if rest := worked_seconds * self.job.rest_per_work:
            await until(self.stopping, rest)
        else:
            await asyncio.sleep(0)


class JobNotifyListener(NotifyListener):
    """One connection that listens for all jobs, and wakes the jobs of a channel."""

    def __init__(self, database_url: str, loops: Sequence[Loop]) -> None:
        channels = sorted({channel for loop in loops for channel in loop.job.notify_channels})
        super().__init__(database_url, *channels)
        self._loops = loops

    def _notice(self, channel: str | None) -> None:
        for loop in self._loops:
            if channel is None or channel in loop.job.notify_channels:
                loop.notified.set()


@dataclass
class Runner:
    """Runs the jobs of a process until it is cancelled.

    Then no further unit is begun, and the units in hand have `stop_seconds` to end; a unit that has
    not ended by then is cancelled, and its transaction rolled back.
    """

    database_url: str
    jobs: Sequence[Job]
    stop_seconds: float = 10.0

    async def run(self) -> None:
        """Run the jobs until cancelled; no outage ends it."""
        if not self.jobs:
            return
        loops = [Loop(job) for job in self.jobs]
        async with JobNotifyListener(self.database_url, loops):
            tasks = [asyncio.create_task(loop.run(), name=loop.job.name) for loop in loops]
            try:
                await asyncio.wait(tasks)
            finally:
                for loop in loops:
                    loop.stop()
                await self._end(tasks)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        _, unfinished = await asyncio.wait(tasks, timeout=self.stop_seconds)
        for task in unfinished:
            log.warning("background work cut off", job=task.get_name(), after=self.stop_seconds)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self.jobs:
            if job.close is not None:
                await job.close()
