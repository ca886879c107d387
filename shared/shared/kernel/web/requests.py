"""What every HTTP API shares: one transaction per request, the caller, pages, versions, logging."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import structlog
from fastapi import Depends, Header, Request
from opentelemetry.trace import Span
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import json_text
from shared.errors import Invalid, PreconditionRequired
from shared.kernel.auth.tokens import Principal
from shared.kernel.context import WorkContext, working
from shared.kernel.data.database import Sessions as SessionFactory
from shared.kernel.data.database import reading
from shared.kernel.observability import metrics, tracing
from shared.kernel.runtime import Runtime

from . import languages, problems
from .callers import principal, runtime
from .ports import NoSuchPath, refuse_wrong_port
from .rate_limits import MONITORING, client_network
from .security_headers import with_cache_control

log = structlog.get_logger()
T = TypeVar("T")


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The transaction of the request: committed when the route returns, before the response."""
    async with runtime(request).sessions.begin() as session:
        yield session


async def reads(request: Request) -> AsyncIterator[AsyncSession]:
    """`reading`, for a route that changes nothing and is asked often."""
    async with reading(runtime(request).sessions) as session:
        yield session


def session_factory(request: Request) -> SessionFactory:
    """The sessions of the process, for a route with several transactions, such as an import."""
    return runtime(request).sessions


async def network(request: Request) -> str:
    """The network that the request comes from."""
    return client_network(request.scope)


# scope="function": without it the commit would happen after the response was sent.
Session = Annotated[AsyncSession, Depends(transaction, scope="function")]
ReadSession = Annotated[AsyncSession, Depends(reads, scope="function")]
Sessions = Annotated[SessionFactory, Depends(session_factory)]
Caller = Annotated[Principal, Depends(principal)]
Process = Annotated[Runtime, Depends(runtime)]
ClientNetwork = Annotated[str, Depends(network)]


class Page(BaseModel, Generic[T]):
    """One page of a list. `next` is the cursor of the following page, or null at the end."""

    items: list[T]
    next: str | None = None


class InvalidCursor(Invalid):
    """This cursor was not made by this list: leave it out to start from the beginning."""


def encode_cursor(*values: str | int) -> str:
    """An opaque cursor that names the last row of a page."""
    return base64.urlsafe_b64encode(json_text.dumps(values).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, *types: type) -> tuple[Any, ...]:
    """The values of a cursor, each as the expected type (`UUID` too); `InvalidCursor` otherwise."""
    try:
        values = json_text.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list):
            raise ValueError
        return tuple(_typed(v, kind) for v, kind in zip(values, types, strict=True))
    except (ValueError, binascii.Error):
        raise InvalidCursor(field="after") from None


def _typed(value: object, kind: type) -> object:
    """The value as this type, if the database can take it; `ValueError` otherwise."""
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if type(value) is not kind:
        raise ValueError
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError
    if isinstance(value, str) and "\0" in value:
        raise ValueError
    return value


class MalformedVersion(Invalid):
    """If-Match carries the version that you read, in quotes: `If-Match: "3"`."""


class VersionRequired(PreconditionRequired):
    """Say which version you decided on, or you could undo what somebody else did meanwhile: read
    it, and send the ETag of that answer as `If-Match: "3"`; `If-Match: *` is any version.
    """

    def __init__(self) -> None:
        super().__init__(field="If-Match")


def expected_version(
    if_match: Annotated[
        str | None,
        Header(description="The version that you read, as in its ETag; `*`: any. 428 without."),
    ] = None,
) -> int | None:
    """The version that the caller read, from `If-Match`; None: any version will do.

    Raises `VersionRequired` without one: nobody changes what they have not read by accident.
    """
    if if_match is None:
        raise VersionRequired
    if if_match.strip() == "*":
        return None
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise MalformedVersion(field="If-Match")
    return int(digits)


Expected = Annotated[int | None, Depends(expected_version)]


def _request_span(scope: Scope) -> AbstractContextManager[Span]:
    if scope["path"] in MONITORING:
        return nullcontext(tracing.NO_SPAN)
    return tracing.request(scope["method"])


class RequestContext:
    """Gives each request its correlation id, and logs one line about it.

    It refuses paths that are not for the port of the request.
    """

    def __init__(self, app: ASGIApp, internal_port: int | None = None) -> None:
        self._app = app
        self._internal_port = internal_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        context = WorkContext.of(
            correlation_id=headers.get("x-correlation-id"), traceparent=headers.get("traceparent")
        )
        language = languages.answering(headers.get("accept-language"))
        with working(context), language, _request_span(scope) as span:
            structlog.contextvars.unbind_contextvars("actor_id")
            await self._serve(scope, receive, send, context.correlation_id, span)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        correlation: str,
        span: Span,
    ) -> None:
        started = time.perf_counter()
        status = 500
        has_begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                status = message["status"]
                headers = [*message["headers"], (b"x-correlation-id", correlation.encode())]
                message["headers"] = with_cache_control(headers)
            await send(message)

        try:
            refuse_control_characters(scope["path"])
            refuse_wrong_port(scope, self._internal_port)
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            # Handled here, where the correlation id is known; too late once the response has begun.
            if has_begun:
                raise
            await problems.response_to(error)(scope, receive, send_with_id)
        finally:
            if scope["path"] not in MONITORING:
                _report(scope, span, status, time.perf_counter() - started)


def _report(scope: Scope, span: Span, status: int, seconds: float) -> None:
    """Count, trace and log a request that is over."""
    metrics.answered(scope, status, seconds)
    tracing.answered(span, scope["method"], metrics.route_of(scope), status)
    log.info(
        "request answered",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
    )


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def refuse_control_characters(path: str) -> None:
    """Raise `NoSuchPath`: routes match `/token` with a line break after it, limits do not."""
    if _CONTROL.search(path):
        raise NoSuchPath
