"""Waking up at commits: PostgreSQL notifies, and polling covers what is missed in between."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

import asyncpg
from sqlalchemy.engine import make_url

from shared.pauses import rest, until


class Wake:
    """Listens on channels of a database while it is entered; the connection is kept up."""

    def __init__(self, database_url: str, *channels: str, retry_seconds: float = 1.0) -> None:
        url = make_url(database_url).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._channels = channels
        self._retry = retry_seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Wake:
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def wait(self, seconds: float) -> None:
        """Until something is heard that was not waited for before, or so long."""
        await until(self._woken, seconds)
        self._woken.clear()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(
                OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError
            ):
                await self._listen_once()
            await rest(self._retry)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel, lambda *_: self._woken.set())
            self._woken.set()
            await lost.wait()
        finally:
            if not connection.is_closed():
                await connection.close(timeout=2)
