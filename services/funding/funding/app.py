"""The process of funding: settings and wiring."""

from __future__ import annotations

from fastapi import FastAPI

from shared.service import build
from shared.settings import Settings

from . import api, handlers, jobs, queries, usecases


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    return build(
        settings or Settings.load("funding"),
        router=api.router,
        snapshots=usecases.SNAPSHOTS,
        consumers=handlers.consumers,
        jobs=[jobs.close_expired_calls],
        owner_of=queries.owner_of,
    )
