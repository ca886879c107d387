"""The process of the registry: settings and wiring."""

from __future__ import annotations

import time

from fastapi import FastAPI
from joserfc.jwk import KeySet

from shared.auth import Keys
from shared.database import Sessions
from shared.oidc import ForeignIssuer
from shared.service import build
from shared.settings import Settings

from . import api, handlers, jobs, measures, queries, usecases


class OwnKeys:
    """The registry verifies with the keys it keeps itself, read again when one is new to it."""

    def __init__(self, sessions: Sessions, *, fresh_seconds: float = 30) -> None:
        self._sessions = sessions
        self._fresh = fresh_seconds
        self._keys = KeySet([])
        self._read_at = float("-inf")

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        if unknown_kid or time.monotonic() - self._read_at > self._fresh:
            async with self._sessions() as session:
                found = await queries.published_keys(session)
            self._keys = KeySet.import_key_set({"keys": found})  # type: ignore[typeddict-item]  # plain JSON
            self._read_at = time.monotonic()
        return self._keys


def own_keys(_: Settings, sessions: Sessions) -> Keys:
    return OwnKeys(sessions)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    settings = settings or Settings.load("registry")
    app = build(
        settings,
        router=api.router,
        snapshots=usecases.SNAPSHOTS,
        consumers=handlers.consumers,
        background=[jobs.forget_reports],
        keys=own_keys,
        seals=True,
        measures=measures.MEASURES,
        larger_bodies={"/imports": settings.max_import_bytes},
        owner_of=queries.owner_of,
    )
    app.state.foreign_issuer = ForeignIssuer.from_settings(settings)
    app.add_exception_handler(usecases.TokenRefused, api.oauth_problem)
    return app
