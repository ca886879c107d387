"""`Idempotency-Key`: a request that creates something takes effect once, however often it is sent.

A route that creates takes `Once`, and returns its answer by `Once.answer`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Final, TypeVar
from uuid import UUID

import orjson
import structlog
from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Invalid
from shared.kernel import failpoints
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import idempotency
from shared.kernel.data.idempotency import FIELD, Answer, KeyedRequest
from shared.kernel.observability import metrics

from .callers import runtime
from .requests import Caller, Session

log = structlog.get_logger()
Created = TypeVar("Created")

KEPT_HEADERS: Final = frozenset({"location", "etag", "cache-control"})
REPLAYED: Final = {"Idempotent-Replayed": "true"}
"""Marks the answer to a repeat."""


class MalformedKey(Invalid):
    """An Idempotency-Key is one random UUID, a new one for each thing to be created, such as
    `Idempotency-Key: 8e03978e-40d5-43dd-bc93-6894a57f9324`.
    """


class AnsweredBefore(Exception):
    """The request was answered before: nothing is to be done but to answer the same."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="A new random UUID. Sent again with it, the same request is answered as"
            " the first time and creates nothing; another one gets 422, and one that comes while"
            " the first is not finished 409."
        ),
    ] = None,
) -> UUID | None:
    """The key of the request, with or without quotes; None without one. Raises `MalformedKey`."""
    if idempotency_key is None:
        return None
    if len(request.headers.getlist(FIELD)) > 1:
        raise MalformedKey(field=FIELD)
    try:
        return UUID(idempotency_key.strip().strip('"'))
    except ValueError:
        raise MalformedKey(field=FIELD) from None


Key = Annotated[UUID | None, Depends(idempotency_key)]


@dataclass(frozen=True)
class OnceOnly:
    """A request that creates something, and the transaction in which its answer is kept.

    Without a key nothing is kept.
    """

    session: AsyncSession
    status: int
    keyed: KeyedRequest | None

    def within(self, session: AsyncSession) -> OnceOnly:
        """The same, where another transaction creates the thing."""
        return replace(self, session=session)

    def answer(
        self,
        created: Created,
        response: Response,
        *,
        location: str,
        repeat: object = None,
    ) -> Created:
        """The answer, with its Location; a repeat gets the same, or `repeat` where that is given.

        What has a secret gives a `repeat` without it, for what is kept must not tell any.
        """
        response.headers["Location"] = location
        if self.keyed is not None:
            headers = {
                name: value for name, value in response.headers.items() if name in KEPT_HEADERS
            }
            body = to_jsonable_python(created if repeat is None else repeat)
            idempotency.keep_answer(self.session, self.keyed, Answer(self.status, headers, body))
            metrics.after_commit(self.session, _reach_commit)
        return created


def _reach_commit() -> None:
    failpoints.reach("create.between-commit-and-answer")


async def first_time(
    request: Request, session: AsyncSession, caller: Principal, key: UUID | None, content: bytes
) -> OnceOnly:
    """Let a request in that comes for the first time; `content` is a digest of its body.

    Raises `AnsweredBefore` for a repeat, and what `idempotency.earlier_answer` does.
    """
    status = request.scope["route"].status_code or 200
    if key is None:
        return OnceOnly(session, status, None)
    keyed = KeyedRequest(
        caller=caller.subject,
        key=key,
        route=f"{request.method} {metrics.route_of(request.scope)}",
        digest=_digest(request, caller, content),
    )
    hours = runtime(request).settings.idempotency_hours
    answer = await idempotency.earlier_answer(session, keyed, hours=hours)
    if answer is not None:
        raise AnsweredBefore(answer)
    return OnceOnly(session, status, keyed)


async def once(request: Request, session: Session, caller: Caller, key: Key) -> OnceOnly:
    """`first_time` of a request whose body is small."""
    body = await request.body() if key else b""
    return await first_time(request, session, caller, key, sha256(body).digest())


Once = Annotated[OnceOnly, Depends(once)]


def _digest(request: Request, caller: Principal, content: bytes) -> bytes:
    """A digest of all that makes the request what it is. With other rights it would be another."""
    said = [request.method, request.url.path, request.url.query, content.hex(), *_rights(caller)]
    return sha256(orjson.dumps(said)).digest()


def _rights(caller: Principal) -> list[list[str]]:
    def sorted_texts(values: Set[object]) -> list[str]:
        return sorted(str(value) for value in values)

    return [
        sorted_texts(caller.roles),
        sorted_texts(caller.provinces),
        sorted_texts(caller.cooperatives),
        [str(caller.partner), str(caller.on_behalf_of)],
    ]


def install(app: FastAPI) -> None:
    """Let the app answer repeats."""
    app.add_exception_handler(AnsweredBefore, _answer_again)


async def _answer_again(request: Request, repeated: Exception) -> JSONResponse:
    assert isinstance(repeated, AnsweredBefore)
    answer = repeated.answer
    log.info("repeated request answered as before", route=metrics.route_of(request.scope))
    return JSONResponse(answer.body, answer.status, headers={**answer.headers, **REPLAYED})
