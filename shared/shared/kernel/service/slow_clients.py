"""Ends connections whose client does not go on sending: each would be kept open for ever."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import h11
import structlog

from shared.errors import DomainError
from shared.kernel.context import WorkContext, working
from shared.kernel.web import problems
from shared.kernel.web.security_headers import NO_STORE

from .slow_readers import LEAST_BYTES_A_SECOND, AnswersReadProtocol

log = structlog.get_logger()


class MalformedRequest(DomainError):
    """This is no HTTP/1.1 request: check its request line and its headers."""


class TimedProtocol(AnswersReadProtocol):
    """HTTP/1.1 whose requests have to arrive: headers in `seconds`, bodies at a least rate.

    uvicorn limits only how long a connection waits between two requests. What the service does not
    read, because it is still working on what came before, counts against nobody.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._at_start: object = None
        self._has_paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that begins with it has its own time."""
        self._received += len(data)
        super().data_received(data)
        self._has_paused = self._has_paused or self.flow.read_paused
        if self._timer is None and self._is_awaited():
            self._begin()

    def _begin(self) -> None:
        self._received = 0
        self._at_start = self.cycle
        self._has_paused = self.flow.read_paused
        self._timer = self.loop.call_later(self.seconds, self._check)

    def _check(self) -> None:
        """Look, at the end of a span of time, whether what is awaited has come in it."""
        self._timer = None
        if self.transport.is_closing() or not self._is_awaited():
            return
        if self._waits_for_us() or self._has_come_on():
            self._begin()
        else:
            self._end()

    def _is_awaited(self) -> bool:
        """Whether the client is in the middle of a request, or has not begun its first."""
        if self.conn.their_state is h11.IDLE:
            return self.timeout_keep_alive_task is None
        return self.conn.their_state is h11.SEND_BODY

    def _waits_for_us(self) -> bool:
        """Whether the client could not send: we had enough to read, or have not said "continue"."""
        return self._has_paused or self.conn.they_are_waiting_for_100_continue

    def _has_come_on(self) -> bool:
        if self.cycle is not self._at_start:
            return True
        is_body = self.conn.their_state is h11.SEND_BODY
        return is_body and self._received >= self.seconds * LEAST_BYTES_A_SECOND

    def _end(self) -> None:
        log.info("request too slow", received=self._received)
        if self._received or self.conn.their_state is h11.SEND_BODY:
            self._refuse(problems.SlowRequest())
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP with a problem, as everything else is."""
        self._refuse(MalformedRequest())
        self.transport.close()

    def _refuse(self, error: DomainError) -> None:
        """Answer where no answer has begun; the connection is closed afterwards."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # the application has nobody to answer any more
        with working(WorkContext.of()):
            answer = problems.refusal(error)
        headers = [
            *self.server_state.default_headers,
            *answer.raw_headers,
            NO_STORE,
            (b"connection", b"close"),
        ]
        reason = HTTPStatus(answer.status_code).phrase.encode()
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers, reason=reason),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")


def timed_protocol(seconds: float) -> type[TimedProtocol]:
    """The protocol with so many seconds for the headers of a request."""
    return type("TimedProtocol", (TimedProtocol,), {"seconds": seconds})
