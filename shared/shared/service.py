"""A service process: the HTTP door, the reactions and the relay under one lifespan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVarTuple
from uuid import UUID

import structlog
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from . import causes, health, logs, openapi, problems, tracing
from .audit import Owner, OwnerOf
from .auth import FetchedKeys, Keys, Verifier
from .database import Sessions, engine_of, make_sessions
from .jobs import Job, Runner
from .messaging import topology
from .messaging.broker import Broker
from .messaging.consumers import Consumers
from .messaging.desk import Desk, begin_counting
from .messaging.drain import Drain
from .messaging.publisher import CLOSING_ERRORS, Publisher
from .messaging.relay import Relay
from .messaging.replay import Replayer, Snapshot
from .messaging.retention import forget_decided, forget_settled
from .messaging.tables import REPLAY_CHANNEL
from .metrics import Measure
from .operations import history, replays, sealed, status, trace
from .pauses import rest
from .rates import RateLimited, Rates
from .runtime import Runtime
from .sealed import Sealer, lend
from .settings import Settings
from .web import RequestContext

log = structlog.get_logger()
Given = TypeVarTuple("Given")

Background = Callable[[Runtime], Coroutine[Any, Any, None]]
"""Work beside the requests; it runs until it is cancelled and survives outages by itself."""
RESTART_SECONDS = 5.0
"""Pause before background work that failed begins anew."""
JobOf = Callable[[Runtime], Job | None]
"""Makes a job of a process; None where its settings leave it out."""
KeySource = Callable[[Settings, Sessions], Keys]


def fetched_keys(settings: Settings, _: Sessions) -> Keys:
    """The keys that the issuer publishes; the one HTTP call between services."""
    if settings.jwks_url is None:
        raise SystemExit(f"{settings.service} can't start: TAAWON_JWKS_URL is not set.")
    return FetchedKeys(settings.jwks_url)


async def operators_only(_: AsyncSession, __: UUID) -> Owner | None:
    """No record of the service is anybody else's."""
    return None


def build(
    settings: Settings,
    *,
    router: APIRouter,
    consumers: Consumers | None = None,
    background: Sequence[Background] = (),
    jobs: Sequence[JobOf] = (),
    snapshots: Sequence[Snapshot] = (),
    keys: KeySource = fetched_keys,
    seals: bool = False,
    larger_bodies: dict[str, int] | None = None,
    owner_of: OwnerOf = operators_only,
    counts: dict[str, str] | None = None,
    names: dict[str, str] | None = None,
    measures: Sequence[Measure] = (),
    handed_of: trace.HandedOf = trace.nothing_handed,
) -> FastAPI:
    """The application of a service. Nothing is connected before its lifespan starts.

    `jobs` are its work beside requests and messages, in units; `background` is what does not come
    in units. `snapshots` tell its present state to whoever lost it; `seals` says that the service
    holds the key of personal fields; `larger_bodies` gives single paths a body limit of their own,
    in bytes; `owner_of` says who, beside the operators, may read the audit of a record; `counts`
    adds numbers to the status, each by an SQL statement that counts, `names` what is concerned,
    each by one that lists texts; `measures` are what a scrape asks the database; `handed_of` is
    what partners got of events.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure(settings.service, settings.log_level)
        tracing.configure(settings.service)
        try:
            async with running(
                settings, consumers, background, keys, seals=seals, jobs=jobs, snapshots=snapshots
            ) as runtime:
                runtime.counts, runtime.names = counts or {}, names or {}
                app.state.runtime = runtime
                yield
        finally:
            await asyncio.to_thread(tracing.shut_down)

    app = FastAPI(
        title=f"Taawon {settings.service}",
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat whatever Host the caller claims
        description=(router.__doc__ or "").strip(),
    )
    app.state.owner_of = owner_of
    app.state.measures = tuple(measures)
    app.state.handed_of = handed_of
    problems.install(app)
    app.state.rates = Rates(settings)
    app.add_middleware(RateLimited, rates=app.state.rates, trusted_proxies=settings.trusted_proxies)
    app.add_middleware(RequestContext, max_body_bytes=settings.max_body_bytes, larger=larger_bodies)
    own = (sealed.router, router) if seals else (router,)
    operations = (health.router, status.router, trace.router, history.router, replays.router)
    for routes in (*operations, *own):
        app.include_router(routes)
    openapi.install(app)
    return app


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    consumers: Consumers | None,
    background: Sequence[Background],
    keys: KeySource,
    *,
    seals: bool,
    jobs: Sequence[JobOf] = (),
    snapshots: Sequence[Snapshot] = (),
) -> AsyncIterator[Runtime]:
    """Everything of the process but HTTP: engine, relay, reactions, background work."""
    engine = engine_of(settings, settings.service)
    runtime = assemble(settings, engine, keys, seals=seals)
    runtime.snapshots = tuple(snapshots)
    runtime.listening = consumers is None  # nothing to wait for
    if consumers is not None:
        runtime.queues = tuple(reaction.queue for reaction in consumers.reactions)
        for queue in runtime.queues:
            begin_counting(queue)
    tasks = [asyncio.create_task(work) for work in _work(runtime, consumers, background, jobs)]
    try:
        yield runtime
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if runtime.publisher:
            await runtime.publisher.close()
        await engine.dispose()


def assemble(settings: Settings, engine: AsyncEngine, keys: KeySource, *, seals: bool) -> Runtime:
    """The parts of the process, wired and not yet running."""
    sessions = make_sessions(engine, settings)
    sealer = Sealer.from_settings(settings) if seals else None
    if sealer is not None:
        lend(sessions, sealer)
    amqp_url = settings.amqp_url.get_secret_value()
    desk = Desk(
        sessions=sessions,
        publisher=Publisher(amqp_url, settings.publish_timeout, f"{settings.service} desk"),
        service=settings.service,
        pauses=settings.retry_pauses,
        probe_seconds=settings.probe_seconds,
    )
    return Runtime(
        settings=settings,
        sessions=sessions,
        verifier=Verifier(
            keys(settings, sessions), issuer=settings.issuer, audience=settings.audience
        ),
        sealer=sealer,
        engine=engine,
        publisher=desk.publisher,
        desk=desk,
    )


def _work(
    runtime: Runtime,
    consumers: Consumers | None,
    background: Sequence[Background],
    jobs: Sequence[JobOf],
) -> list[Coroutine[Any, Any, None]]:
    work: list[Coroutine[Any, Any, None]] = [
        relay(runtime),
        run_jobs(runtime, (replay, forget_old, *jobs)),
    ]
    if consumers is not None:
        work += [_guarded(listen, runtime, consumers), Drain.of(runtime, consumers).run()]
    return work + [_guarded(job, runtime) for job in background]


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


def replay(runtime: Runtime) -> Job:
    """Work off the replays that operators asked for."""
    settings = runtime.settings
    publisher = Publisher(
        settings.amqp_url.get_secret_value(), settings.publish_timeout, f"{settings.service} replay"
    )
    replayer = Replayer(runtime.sessions, publisher, settings.service, runtime.snapshots)
    return Job(
        name="replay",
        step=replayer.step,
        poll_seconds=settings.relay_poll_seconds,
        wake=(REPLAY_CHANNEL,),
        rest_per_work=1.0,  # half of the time belongs to the relay, the requests and the consumers
        close=publisher.close,
    )


def forget_old(runtime: Runtime) -> Job:
    """Every hour remove what is past its retention."""
    engine, settings = runtime.engine, runtime.settings
    assert engine is not None

    async def step() -> bool:
        await forget_settled(engine, settings.outbox_retention_days)
        await forget_decided(engine, settings.dead_letter_retention_days)
        return False

    return Job(name="retention", step=step, poll_seconds=3600)


async def run_jobs(runtime: Runtime, jobs: Sequence[JobOf]) -> None:
    """Run these jobs until cancelled; then the units in hand end first."""
    settings = runtime.settings
    made = [job for job_of in jobs if (job := job_of(runtime)) is not None]
    url = settings.database_url.get_secret_value()
    await Runner(url, made, settings.graceful_seconds).run()


async def listen(runtime: Runtime, consumers: Consumers) -> None:
    """Subscribe the reactions, waiting for broker and topology for as long as it takes.

    A lost connection is not mended but made anew: the client's own repair waits for ever where a
    queue that has just come back gives no answer, and the reaction would be deaf.
    """
    settle = 0.0
    while True:
        lost = asyncio.Event()
        broker = await _started_broker(runtime, consumers, lost, settle)
        settle = topology.SETTLE_SECONDS
        if broker is not None:
            runtime.listening, runtime.deaf_for = True, None
            try:
                await lost.wait()
                log.warning("connection to the broker lost")
            finally:
                runtime.listening = False
                await _stop(broker, lost, runtime.settings.graceful_seconds)
        await rest(runtime.settings.probe_seconds)


async def _started_broker(
    runtime: Runtime, consumers: Consumers, lost: asyncio.Event, settle: float
) -> Broker | None:
    assert runtime.desk is not None
    settings = runtime.settings
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        logger=None,
        apply_types=False,
        app_id=settings.service,
        graceful_timeout=settings.graceful_seconds,
        reconnect_interval=settings.probe_seconds,
        on_close=[lambda *_: lost.set()],
    )
    consumers.attach(broker, runtime.desk.take)
    try:
        async with asyncio.timeout(topology.ANSWER_SECONDS):
            await broker.connect()
            await rest(settle)
            await broker.start()
    except CLOSING_ERRORS as error:
        runtime.deaf_for = causes.of_broker(error)
        log.warning(
            "broker or topology not ready", error=type(error).__name__, cause=str(runtime.deaf_for)
        )
        await _stop(broker, lost, settings.graceful_seconds)
        return None
    except BaseException:
        await _stop(broker, lost, settings.graceful_seconds)
        raise
    return broker


async def _stop(broker: Broker, lost: asyncio.Event, graceful_seconds: float) -> None:
    """Let the messages at hand end; without a connection there is nothing to wait for."""
    with contextlib.suppress(*CLOSING_ERRORS):
        if lost.is_set():
            # First, or stopping would wait for the client's attempts to connect again.
            async with asyncio.timeout(5):
                await (await broker.connect()).close()
        async with asyncio.timeout(graceful_seconds + 5):
            await broker.stop()


async def _guarded(job: Callable[[*Given], Coroutine[Any, Any, None]], *given: *Given) -> None:
    """A background job that fails is started again, and said so."""
    while True:
        try:
            await job(*given)
            return
        except Exception:
            log.exception("background work failed", job=job.__name__)
            await rest(RESTART_SECONDS)
