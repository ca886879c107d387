"""The kernel's work beside requests and consumers, and how background work is restarted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVarTuple

import structlog

from shared.kernel.data import idempotency, revocations
from shared.kernel.data.tables import REPLAY_CHANNEL
from shared.kernel.jobs.job import Job
from shared.kernel.jobs.runner import Runner
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.dead_letter_collector import DeadLetterCollector
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.messaging.relay import Relay
from shared.kernel.messaging.replay.worker import Replayer
from shared.kernel.messaging.retention import delete_decided, delete_settled
from shared.kernel.runtime import Runtime
from shared.kernel.sleep import rest

from .spec import JobOf

log = structlog.get_logger()
Given = TypeVarTuple("Given")

RESTART_SECONDS = 5.0
"""Pause before background work that failed is started again."""


async def relay(runtime: Runtime) -> None:
    """Run the outbox relay until cancelled."""
    settings = runtime.settings
    assert runtime.engine is not None
    publisher = Publisher(
        settings.amqp_url.get_secret_value(), settings.publish_timeout, f"{settings.service} relay"
    )
    try:
        await Relay(
            runtime.engine,
            publisher,
            settings.service,
            batch=settings.relay_batch,
            poll_seconds=settings.relay_poll_seconds,
        ).run()
    finally:
        await publisher.close()


async def collect_dead_letters(runtime: Runtime, consumers: Consumers) -> None:
    """Move dead letters from the queues of the service into its table until cancelled."""
    await DeadLetterCollector(
        runtime.sessions,
        runtime.settings.amqp_url.get_secret_value(),
        tuple(consumers.consumers),
        runtime.settings.probe_seconds,
    ).run()


def replay(runtime: Runtime) -> Job:
    """The job that works off the replays that operators requested."""
    settings = runtime.settings
    publisher = Publisher(
        settings.amqp_url.get_secret_value(), settings.publish_timeout, f"{settings.service} replay"
    )
    replayer = Replayer(runtime.sessions, publisher, settings.service, runtime.snapshots)
    return Job(
        name="replay",
        step=replayer.step,
        poll_seconds=settings.relay_poll_seconds,
        notify_channels=(REPLAY_CHANNEL,),
        rest_per_work=1.0,  # half of the time belongs to the relay, the requests and the consumers
        close=publisher.close,
    )


def delete_old(runtime: Runtime) -> Job:
    """The job that deletes every hour what is past its retention."""
    engine, settings = runtime.engine, runtime.settings
    assert engine is not None

    async def step() -> bool:
        await delete_settled(engine, settings.outbox_retention_days)
        await delete_decided(engine, settings.dead_letter_retention_days)
        await revocations.delete_expired(engine)
        await idempotency.delete_old_keys(engine, settings.idempotency_hours)
        return False

    return Job(name="retention", step=step, poll_seconds=3600)


async def run_jobs(runtime: Runtime, jobs: Sequence[JobOf]) -> None:
    """Run these jobs until cancelled; the units in hand are then finished."""
    settings = runtime.settings
    made = [job for job_of in jobs if (job := job_of(runtime)) is not None]
    url = settings.database_url.get_secret_value()
    await Runner(url, made, settings.graceful_seconds).run()


async def guarded(job: Callable[[*Given], Coroutine[Any, Any, None]], *given: *Given) -> None:
    """Run background work; where it fails, log the failure and start it again after a pause."""
    while True:
        try:
            await job(*given)
            return
        except Exception:
            log.exception("background work failed", job=job.__name__)
            await rest(RESTART_SECONDS)
