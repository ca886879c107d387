"""A made-up service whose routes show what every HTTP API shares."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import httpx
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.orm.exc import StaleDataError

from shared.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from shared.kernel import context
from shared.kernel.service import app
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings
from shared.kernel.web.create_requests import Once
from shared.kernel.web.requests import Caller, Session, decode_cursor

router = APIRouter()
LIMIT = 2048


class Budget(BaseModel):
    """A made-up form."""

    title: str = Field(min_length=3)
    budget_centimes: int = Field(gt=0)


class WallIsFull(Conflict):
    """No stone goes onto a full wall."""


RAISES: dict[str, Exception] = {
    "invalid": Invalid("budget is above 100: ask for less", field="budget_centimes"),
    "many": Invalid.many([Problem("a", "is missing: add it"), Problem("b.0", "is unknown")]),
    "missing": NotFound("no such stone"),
    "forbidden": Forbidden(),
    "conflict": WallIsFull(),
    "stale": StaleDataError(),
    "bug": KeyError("the phone is 0600000000"),
}


@router.post("/stones", status_code=201)
async def lay_stone(session: Session, number: int) -> dict[str, int]:
    """Lay a stone of this number."""
    await session.execute(text("INSERT INTO stone VALUES (:n)"), {"n": number})
    return {"number": number}


class Pillar(BaseModel):
    """A made-up form, and its answer with a secret that is shown once."""

    number: int
    name: str
    secret: str | None = None


@router.post("/pillars", status_code=201)
@router.post("/walls/{wall}/pillars", status_code=201)
async def raise_pillar(
    pillar: Pillar, session: Session, caller: Caller, response: Response, once: Once
) -> Pillar:
    """Lay a stone of this number, and answer with a secret."""
    await session.execute(text("INSERT INTO stone VALUES (:n)"), {"n": pillar.number})
    if pillar.name == "crooked":
        raise WallIsFull
    response.headers["ETag"] = '"1"'
    made = pillar.model_copy(update={"secret": secrets.token_hex()})
    repeat = made.model_copy(update={"secret": None})
    return once.answer(made, response, location=f"/pillars/{pillar.number}", repeat=repeat)


@router.get("/stones/{number}")
async def read_stone(number: int, caller: Caller, response: Response) -> dict[str, int]:
    response.headers["ETag"] = f'"{number}"'
    return {"number": number}


@router.delete("/stones/{number}")
async def take_stone(number: int, caller: Caller) -> None:
    """Take no stone."""


async def _echoes(written: list[str]) -> AsyncIterator[str]:
    while True:
        written.append("echo")
        yield "echo"


@router.get("/echoes")
async def endless(request: Request) -> StreamingResponse:
    """A stream that ends only with its reader."""
    request.app.state.echoes = []
    return StreamingResponse(_echoes(request.app.state.echoes), headers={"X-Echo": "1"})


@router.post("/budgets")
async def take_budget(budget: Budget) -> str:
    return budget.title


@router.post("/my-budgets")
async def take_my_budget(budget: Budget, caller: Caller) -> str:
    return budget.title


@router.post("/files")
async def take_file(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.get("/raises/{name}")
async def fail(name: str) -> None:
    raise RAISES[name]


@router.get("/page")
async def page(after: Annotated[str, Query()]) -> str:
    return str(decode_cursor(after, int, str))


@router.get("/me")
async def me(caller: Caller) -> UUID:
    return caller.subject


@router.get("/context")
async def read_context() -> dict[str, str]:
    work = context.current()
    return {"correlation_id": work.correlation_id, "traceparent": work.traceparent}


SPEC = ServiceSpec(name="masonry", routers=(router,), larger_bodies=lambda _: {"/files": 2 * LIMIT})


def create_app(settings: Settings) -> FastAPI:
    return app.build(SPEC, settings)


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert body["correlation_id"] == response.headers["x-correlation-id"]
    return bool((response.status_code, body["status"], body["code"]) == (status, status, code))
