"""The lifespan of a service process: everything but HTTP, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.kernel.auth.tokens import Verifier
from shared.kernel.data.database import engine_of, make_sessions
from shared.kernel.encryption.sealer import Sealer, attach_sealer
from shared.kernel.messaging.message_processor import MessageProcessor, begin_counting
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings

from .background import collect_dead_letters, delete_old, guarded, relay, replay, run_jobs
from .consuming import keep_consuming
from .spec import ServiceSpec


@asynccontextmanager
async def running(spec: ServiceSpec, settings: Settings) -> AsyncIterator[Runtime]:
    """Run relay, consumers, jobs and background work; at the end all are stopped and closed."""
    engine = engine_of(settings, settings.service)
    runtime = assemble(spec, settings, engine)
    for queue in runtime.queues:
        begin_counting(queue)
    tasks = [asyncio.create_task(work) for work in _work(spec, runtime)]
    try:
        yield runtime
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if runtime.publisher:
            await runtime.publisher.close()
        await engine.dispose()


def assemble(spec: ServiceSpec, settings: Settings, engine: AsyncEngine) -> Runtime:
    """The parts of the process, wired but not running yet."""
    sessions = make_sessions(engine, settings)
    sealer = Sealer.from_settings(settings) if spec.sealed else None
    if sealer is not None:
        attach_sealer(sessions, sealer)
    amqp_url = settings.amqp_url.get_secret_value()
    processor = MessageProcessor(
        sessions=sessions,
        publisher=Publisher(amqp_url, settings.publish_timeout, f"{settings.service} processor"),
        service=settings.service,
        delays=settings.retry_delays,
        probe_seconds=settings.probe_seconds,
    )
    keys = spec.keys(settings, sessions)
    return Runtime(
        settings=settings,
        sessions=sessions,
        verifier=Verifier(keys, issuer=settings.issuer, audience=settings.audience),
        sealer=sealer,
        engine=engine,
        publisher=processor.publisher,
        processor=processor,
        consuming=spec.consumers is None,  # nothing to wait for
        queues=tuple(consumer.queue for consumer in spec.all_consumers),
        snapshots=tuple(spec.snapshots),
        counts=dict(spec.counts),
        names=dict(spec.names),
    )


def _work(spec: ServiceSpec, runtime: Runtime) -> list[Coroutine[Any, Any, None]]:
    work: list[Coroutine[Any, Any, None]] = [
        relay(runtime),
        run_jobs(runtime, (replay, delete_old, *spec.jobs)),
    ]
    if spec.consumers is not None:
        work.append(guarded(keep_consuming, runtime, spec.consumers))
        work.append(collect_dead_letters(runtime, spec.consumers))
    return work + [guarded(job, runtime) for job in spec.background]
