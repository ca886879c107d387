"""The registry verifies tokens with the keys of its own database."""

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


def stored_keys(_: Settings, sessions: Sessions) -> Keys:
    return StoredKeys(sessions)
