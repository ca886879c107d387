"""The application of a service: routes, middleware, and the lifespan that runs everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from shared.kernel.admin import audit_history, health, index, replays, sealed_fields, status, trace
from shared.kernel.observability import logs, tracing
from shared.kernel.settings import Settings
from shared.kernel.web import create_requests, openapi, problems
from shared.kernel.web.methods import AnswersHead
from shared.kernel.web.rate_limits import RateLimited, Rates
from shared.kernel.web.request_bodies import CheckedBodies
from shared.kernel.web.requests import RequestContext

from .lifespan import running
from .spec import ServiceSpec
from .watchdog import watched

OPERATIONS = (
    index.router,
    health.router,
    status.router,
    trace.router,
    audit_history.router,
    replays.router,
)
"""Routes that every service has."""


def build(spec: ServiceSpec, settings: Settings | None = None) -> FastAPI:
    """The application of a service. Nothing is connected before its lifespan starts.

    Settings come from the environment unless a test gives its own; `MissingSettings` names what is
    missing.
    """
    known = settings or spec.settings.load()
    app = FastAPI(
        title=f"Taawon {known.service}",
        version="0.1.0",
        lifespan=_lifespan_of(spec, known),
        docs_url=None,  # a page with scripts of somebody else's server
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever Host the caller claims
    )
    app.state.spec = spec
    _add_middleware(app, spec, known)
    own = (*((sealed_fields.router,) if spec.sealed else ()), *spec.routers)
    for routes in (*OPERATIONS, *own):
        app.include_router(routes)
    openapi.install(app, spec.about, spec.tags)
    spec.complete(app, known)
    return app


def _lifespan_of(
    spec: ServiceSpec, settings: Settings
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure(settings.service, settings.log_level)
        tracing.configure(settings.service)
        try:
            with watched(settings):
                async with running(spec, settings) as runtime:
                    app.state.runtime = runtime
                    yield
        finally:
            await asyncio.to_thread(tracing.shut_down)

    return lifespan


def _add_middleware(app: FastAPI, spec: ServiceSpec, settings: Settings) -> None:
    """From the inside out: who sends too much is refused before anything of the body is read."""
    problems.install(app)
    create_requests.install(app)
    app.state.rates = Rates(settings)
    app.add_middleware(AnswersHead)
    app.add_middleware(
        CheckedBodies,
        max_body_bytes=settings.max_body_bytes,
        larger=dict(spec.larger_bodies(settings)),
    )
    app.add_middleware(RateLimited, rates=app.state.rates, trusted_proxies=settings.trusted_proxies)
    app.add_middleware(RequestContext, internal_port=settings.internal_port)
