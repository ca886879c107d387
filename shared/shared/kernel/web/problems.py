"""Maps errors to responses: problem details (RFC 9457) with the wrong fields and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException

from shared.errors import ChangedMeanwhile, DomainError, Kind, Problem, TooManyRequests
from shared.kernel import context, outage_causes
from shared.kernel.data.database import is_infrastructure
from shared.kernel.observability import metrics
from shared.sentences import Sentence, joined

from . import languages, methods
from .ports import NoSuchPath
from .validation import problem_of

log = structlog.get_logger()

STATUS: Final[Mapping[Kind, int]] = {
    Kind.REFUSED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.TOO_SLOW: 408,
    Kind.TOO_LARGE: 413,
    Kind.FOREIGN_FORMAT: 415,
    Kind.INVALID: 422,
    Kind.PRECONDITION_REQUIRED: 428,
    Kind.TOO_MANY_REQUESTS: 429,
    Kind.AWAY: 503,
}
"""The status code of each kind of refusal, also for the OpenAPI documents."""
RETRY_SECONDS: Final = 2
"""How long a caller is asked to wait while a dependency is away."""


class SlowRequest(DomainError):
    """The request took too long to arrive: send headers at once, and bodies without pauses."""

    kind = Kind.TOO_SLOW


def problem(
    status: int,
    code: str,
    detail: Sentence,
    problems: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An `application/problem+json` response in the language asked for, counted by its code."""
    metrics.refused(code)
    body: dict[str, Any] = {
        "type": f"urn:taawon:problem:{code}",
        "title": languages.say(title_of(code)),
        "status": status,
        "code": code,
        "detail": languages.say(detail),
        "correlation_id": context.current().correlation_id,
    }
    if problems:
        body["errors"] = [_error(each) for each in problems]
    return JSONResponse(
        body,
        status_code=status,
        media_type="application/problem+json",
        headers=languages.headers() | (headers or {}),
    )


def title_of(code: str) -> Sentence:
    """The title of every problem with this code."""
    return Sentence(code.replace("-", " "))


def _error(problem: Problem) -> dict[str, str]:
    error = {"field": problem.field, "message": languages.say(problem.message)}
    return error if problem.given is None else error | {"given": problem.given}


def install(app: FastAPI) -> None:
    """Let the app respond to every kind of error with a problem."""
    app.add_exception_handler(DomainError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StaleDataError, _stale)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


_HEADERS: Final[Mapping[Kind, dict[str, str]]] = {
    Kind.UNAUTHENTICATED: {"WWW-Authenticate": "Bearer"},
    Kind.AWAY: {"Retry-After": str(RETRY_SECONDS)},
}


async def _domain(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DomainError)
    return refusal(error)


def refusal(error: DomainError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response to a refusal, with the headers of its kind unless others are given."""
    headers = headers or _HEADERS.get(error.kind)
    if isinstance(error, TooManyRequests) and headers is None:
        headers = {"Retry-After": str(error.seconds)}
    return problem(STATUS[error.kind], error.code, error.detail, error.problems, headers)


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [problem_of(entry) for entry in error.errors()[:50]]
    return problem(
        STATUS[Kind.INVALID],
        "invalid-request",
        joined([each.sentence for each in problems[:5]]),
        problems,
    )


async def _stale(request: Request, _: Exception) -> JSONResponse:
    return await _domain(request, ChangedMeanwhile())


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The framework wraps errors that occur while it reads a body, and so looks at the caller.
    cause = error.__cause__
    if isinstance(cause, DomainError):
        return await _domain(request, cause)
    if isinstance(cause, Exception) and is_infrastructure(cause):
        return unexpected(cause)
    if error.status_code == 405:
        return _other_method(request)
    headers = dict(error.headers) if error.headers else {}
    code, detail = _ROUTING.get(error.status_code, ("http-error", _UNREADABLE))
    return problem(error.status_code, code, detail, headers=headers)


_ROUTING = {
    404: ("no-such-path", NoSuchPath().detail),
}
_UNREADABLE = Sentence("The request can't be read: check its headers and the form of its body.")


def _other_method(request: Request) -> Response:
    """The response where the path exists, but no route of it has this method.

    The framework's own `Allow` names the methods of one route only, and a path may have several.
    """
    if request.method == "OPTIONS":
        return methods.answer_options(request)
    allowed = methods.allowed(request)
    detail = Sentence("This path takes {allowed} only.", allowed=allowed)
    return problem(405, "method-not-allowed", detail, headers={"Allow": allowed})


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return unexpected(error)


def response_to(error: Exception) -> JSONResponse:
    """The response to any error."""
    return refusal(error) if isinstance(error, DomainError) else unexpected(error)


_AWAY = (
    "away-for-a-moment",
    Sentence("The database can't be reached just now. Nothing was changed; try again."),
)
_NO_ROOM = (
    "no-room",
    Sentence(
        "The database has no room for the change. Nothing was changed; try again when whoever"
        " operates the platform has made room."
    ),
)


def unexpected(error: Exception) -> JSONResponse:
    """The response to an error that is no refusal: the database is away, or it is our defect."""
    if is_infrastructure(error):
        cause = outage_causes.of_either(error)
        log.warning("request refused", error=type(error).__name__, cause=str(cause))
        code_and_detail = _NO_ROOM if cause is outage_causes.DISK_FULL else _AWAY
        return problem(STATUS[Kind.AWAY], *code_and_detail, headers=_HEADERS[Kind.AWAY])
    log.error("request failed", exc_info=error)
    return problem(
        500,
        "our-fault",
        Sentence("Something failed on our side. Quote the correlation id when reporting it."),
    )
