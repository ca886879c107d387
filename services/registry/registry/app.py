"""The process of the registry: settings and wiring."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI
from joserfc.jwk import KeySet

from shared.auth import Keys
from shared.database import Sessions
from shared.oidc import ForeignIssuer
from shared.pauses import rest
from shared.service import build
from shared.settings import Settings

from . import api, handlers, jobs, measures, queries, usecases


class OwnKeys:
    """The registry verifies with the keys it keeps itself, read again when one is new to it.

    Tokens that name unknown keys make it read once per `least_seconds` and no more: all wait for
    the same reading, the next one, which finds a key that was made a moment ago.
    """

    def __init__(
        self, sessions: Sessions, *, fresh_seconds: float = 30, least_seconds: float = 0.2
    ) -> None:
        self._sessions = sessions
        self._fresh = fresh_seconds
        self._least = least_seconds
        self._keys = KeySet([])
        self._tried = self._read_at = float("-inf")
        self._turn = asyncio.Lock()
        self._coming: asyncio.Task[None] | None = None

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        if unknown_kid or time.monotonic() - self._read_at > self._fresh:
            self._coming = self._coming or asyncio.create_task(self._read())
            await asyncio.shield(self._coming)
        return self._keys

    async def _read(self) -> None:
        async with self._turn:
            await rest(self._tried + self._least - time.monotonic())
            # From here on it may miss a key: whoever asks now waits for the one after it.
            self._coming, self._tried = None, time.monotonic()
            async with self._sessions() as session:
                found = await queries.published_keys(session)
            self._keys = KeySet.import_key_set({"keys": found})  # type: ignore[typeddict-item]  # plain JSON
            self._read_at = self._tried


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
        jobs=[jobs.forget],
        keys=own_keys,
        seals=True,
        measures=measures.MEASURES,
        larger_bodies={"/imports": settings.max_import_bytes},
        owner_of=queries.owner_of,
    )
    app.state.foreign_issuer = ForeignIssuer.from_settings(settings)
    app.add_exception_handler(usecases.TokenRefused, api.oauth_problem)
    return app
