"""The application of a service: routes, middleware, and the lifespan that runs everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from . import health, logs, openapi, problems, tracing
from .lifespan import running
from .operations import history, replays, sealed, status, trace
from .rates import RateLimited, Rates
from .settings import Settings
from .spec import ServiceSpec
from .web import RequestContext

OPERATIONS = (health.router, status.router, trace.router, history.router, replays.router)
"""Routes that every service has."""


def build(spec: ServiceSpec, settings: Settings | None = None) -> FastAPI:
    """The application of a service. Nothing is connected before its lifespan starts.

    Settings come from the environment unless a test brings its own; MissingSettings names what is
    missing.
    """
    known = settings or spec.settings.load()
    app = FastAPI(
        title=f"Taawon {known.service}",
        version="0.1.0",
        lifespan=_lifespan_of(spec, known),
        redirect_slashes=False,  # a redirect would repeat whatever Host the caller claims
        description=(spec.router.__doc__ or "").strip(),
    )
    app.state.spec = spec
    _add_middleware(app, spec, known)
    own = (sealed.router, spec.router) if spec.sealed else (spec.router,)
    for routes in (*OPERATIONS, *own):
        app.include_router(routes)
    openapi.install(app)
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
            async with running(spec, settings) as runtime:
                app.state.runtime = runtime
                yield
        finally:
            await asyncio.to_thread(tracing.shut_down)

    return lifespan


def _add_middleware(app: FastAPI, spec: ServiceSpec, settings: Settings) -> None:
    problems.install(app)
    app.state.rates = Rates(settings)
    app.add_middleware(RateLimited, rates=app.state.rates, trusted_proxies=settings.trusted_proxies)
    app.add_middleware(
        RequestContext,
        max_body_bytes=settings.max_body_bytes,
        larger=dict(spec.larger_bodies(settings)),
    )
