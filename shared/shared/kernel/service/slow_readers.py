"""Ends connections whose client does not read its answers: each would be kept open for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

LEAST_BYTES_A_SECOND: Final = 1000
"""The slowest transfer that is waited for, in both directions: 10 MB by a line of 8 kbit/s."""

log = structlog.get_logger()


class AnswersReadProtocol(H11Protocol):
    """HTTP/1.1 whose answers have to be read: at a least rate, after `seconds` of grace.

    An answer waits in memory and holds its request, or its connection where the request is done,
    until the client takes it. What the application writes meanwhile waits with it: it writes no
    more than the transport's limit ahead.
    """

    seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_awaiting()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is behind: it has a time to take what waits for it."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        self._stop_awaiting()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """The rest of an answer has its time too, with all that was behind already."""
        if self._unread_timer is None:
            self._await_reading()
        super().on_response_complete()

    def _await_reading(self) -> None:
        if waiting := self.transport.get_write_buffer_size():
            patience = self.seconds + waiting / LEAST_BYTES_A_SECOND
            self._unread_timer = self.loop.call_later(patience, self._end_unread, self.cycle)

    def _stop_awaiting(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _end_unread(self, answered: object) -> None:
        """End the connection, unless all was taken; another answer since then has its own time."""
        self._unread_timer = None
        if not (waiting := self.transport.get_write_buffer_size()):
            return
        if not self.flow.write_paused and self.cycle is not answered:
            self._await_reading()
            return
        log.info("answer not read", waiting=waiting)
        self.transport.abort()
