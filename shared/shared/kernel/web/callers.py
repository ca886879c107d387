"""Who sends a request: verified and counted once, before anything costly is done for it."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from shared.errors import Unauthenticated
from shared.kernel.auth.tokens import Principal
from shared.kernel.runtime import Runtime

from . import parameters
from .rate_limits import Rates, TooOften

_bearer = HTTPBearer(auto_error=False, description="A token from POST /token of the registry.")


def runtime(request: Request) -> Runtime:
    """The parts of this process."""
    found = request.app.state.runtime
    assert isinstance(found, Runtime)
    return found


class SeveralTokens(Unauthenticated):
    """More than one Authorization header came: send exactly one, with a token of POST /token."""


async def authenticate(request: Request) -> Principal:
    """The verified caller, counted against its limit; later calls return the same.

    Raises `Unauthenticated` without a valid token, `TokenRevoked` for one that was revoked,
    `TooOften` above the caller's limit.
    """
    known: Principal | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    if len(request.headers.getlist("authorization")) > 1:
        raise SeveralTokens
    credentials = await _bearer(request)
    if credentials is None:
        raise Unauthenticated
    caller = await runtime(request).verifier.verify(credentials.credentials)
    structlog.contextvars.bind_contextvars(actor_id=str(caller.subject))
    _count(request, caller)
    await runtime(request).revocations.refuse(caller)
    request.state.caller = caller
    return caller


def _count(request: Request, caller: Principal) -> None:
    """Count a request of this caller; `RateLimited` reports what is left."""
    rates: Rates = request.app.state.rates
    window = rates.count_caller(caller.subject)
    if window is not None:
        request.state.rate = window
        if window.is_over:
            raise TooOften(window)


async def principal(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],  # for OpenAPI
) -> Principal:
    """The verified caller; then query parameters that are unknown or empty are refused.

    Raises what `authenticate` does.
    """
    caller = await authenticate(request)
    parameters.refuse_unusable(request)
    return caller


def needs_token(scope: Scope) -> bool:
    """Whether the route that was found for this request takes its caller."""
    route = getattr(scope.get("route"), "dependant", None)
    return isinstance(route, Dependant) and _asks_for_caller(route)


def _asks_for_caller(dependant: Dependant) -> bool:
    return dependant.call is principal or any(map(_asks_for_caller, dependant.dependencies))
