"""Wiring: settings, routes, reactions and background work of notifications."""

from __future__ import annotations

from fastapi import FastAPI

from shared.service import build
from shared.settings import Settings

from . import api, handlers, jobs, queries


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    return build(
        settings or Settings.load("notifications"),
        router=api.router,
        consumers=handlers.consumers,
        background=[jobs.tell_late_matches, jobs.deliver_feeds],
        seals=True,
        owner_of=queries.owner_of,
    )
