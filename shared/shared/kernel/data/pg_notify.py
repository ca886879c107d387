"""Notifications of PostgreSQL at a commit; polling covers those that are missed in between."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from shared.kernel.sleep import rest, until

from .database import is_infrastructure

log = structlog.get_logger()


class NotifyListener:
    """Listens on channels of a database inside `async with`; a lost connection is made anew."""

    def __init__(self, database_url: str, *channels: str, retry_seconds: float = 1.0) -> None:
        url = make_url(database_url).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._channels = channels
        self._retry = retry_seconds
        self._notified = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> NotifyListener:
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
        """Wait for a notification since the last wait, but no longer than so many seconds."""
        await until(self._notified, seconds)
        self._notified.clear()

    def _received(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        self._notice(channel)

    def _notice(self, channel: str | None) -> None:
        """Take note of a notification; None: listening began now, so some may have been missed."""
        self._notified.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:
                # Polling goes on without it, so nobody would notice.
                if not is_infrastructure(error):
                    log.exception("listening to the database failed")
            await rest(self._retry)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel, self._received)
            self._notice(None)
            await lost.wait()
        finally:
            if not connection.is_closed():
                await connection.close(timeout=2)
