"""The registry verifies tokens with the public keys in its own database."""

from __future__ import annotations

import asyncio
import time

from joserfc.jwk import KeySet

from shared.kernel.auth.tokens import Keys
from shared.kernel.data.database import Sessions
from shared.kernel.settings import Settings
from shared.kernel.sleep import rest

from . import queries


class StoredKeys:
    """The published keys, read again after `fresh_seconds` or when a token names an unknown one.

    Tokens that name unknown keys cause at most one reading per `least_seconds`: they all wait for
    the next one, which finds a key that was made a moment ago.
    """

    def __init__(
        self, sessions: Sessions, *, fresh_seconds: float = 30, least_seconds: float = 0.2
    ) -> None:
        self._sessions = sessions
        self._fresh = fresh_seconds
        self._least = least_seconds
        self._keys = KeySet([])
        self._tried = self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self._next_read: asyncio.Task[None] | None = None

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        """The keys; with `unknown_kid` as of a reading that begins after this call."""
        if unknown_kid or time.monotonic() - self._read_at > self._fresh:
            self._next_read = self._next_read or asyncio.create_task(self._read())
            await asyncio.shield(self._next_read)
        return self._keys

    async def _read(self) -> None:
        async with self._lock:
            await rest(self._tried + self._least - time.monotonic())
            # From here on it may miss a key: whoever asks now waits for the one after it.
            self._next_read, self._tried = None, time.monotonic()
            async with self._sessions() as session:
                found = await queries.published_keys(session)
            self._keys = KeySet.import_key_set({"keys": found})  # type: ignore[typeddict-item]  # plain JSON
            self._read_at = self._tried


def stored_keys(_: Settings, sessions: Sessions) -> Keys:
    """The keys by which the registry verifies tokens, for its ServiceSpec."""
    return StoredKeys(sessions)
