"""The process of the registry: settings and wiring."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI
from joserfc.jwk import KeySet

from shared.auth import Keys
from shared.database import Sessions
from shared.oidc import ForeignIssuer, is_safe_url
from shared.pauses import rest
from shared.service import build
from shared.settings import Settings
from shared.spec import ServiceSpec

from . import api, handlers, jobs, measures, queries, usecases
from .settings import RegistrySettings
from .usecases.holdings import HOLDINGS


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


def larger_bodies(settings: Settings) -> dict[str, int]:
    """A register file is larger than any other body, in bytes."""
    return {"/imports": RegistrySettings.of(settings).max_import_bytes}


def complete(app: FastAPI, settings: Settings) -> None:
    """The other issuer whose subjects are linked, and refusals in the form of RFC 6749."""
    app.state.foreign_issuer = foreign_issuer(RegistrySettings.of(settings))
    app.add_exception_handler(usecases.TokenRefused, api.oauth_problem)


def foreign_issuer(settings: RegistrySettings) -> ForeignIssuer | None:
    """The configured issuer, if there is one; half a configuration stops the process."""
    issuer, audience = settings.oidc_issuer, settings.oidc_audience
    if issuer is None:
        return None
    if audience is None:
        raise SystemExit("TAAWON_OIDC_ISSUER is set, TAAWON_OIDC_AUDIENCE is not: set both.")
    if not is_safe_url(issuer):
        raise SystemExit(
            "TAAWON_OIDC_ISSUER must be an https:// address (http:// on loopback only)."
        )
    return ForeignIssuer(issuer, audience, client_id=settings.oidc_client_id)


SPEC = ServiceSpec(
    name="registry",
    settings=RegistrySettings,
    router=api.router,
    snapshots=usecases.SNAPSHOTS,
    consumers=handlers.consumers,
    jobs=(jobs.forget,),
    keys=own_keys,
    sealed=HOLDINGS,
    measures=measures.MEASURES,
    larger_bodies=larger_bodies,
    owner_of=queries.owner_of,
    complete=complete,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    return build(SPEC, settings)
