"""HTTP: responses after the commit, problems that name the field, limits, one correlation id."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.orm.exc import StaleDataError

from devkit.pytest_plugin import Api, TestDatabases, Tokens, api
from shared.errors import Conflict, Forbidden, Invalid, Kind, NotFound, Problem
from shared.kernel import context, outage_causes
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.observability import logs
from shared.kernel.service import app
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings
from shared.kernel.web import problems
from shared.kernel.web.requests import Caller, InvalidCursor, Session, decode_cursor, encode_cursor

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


@router.post("/budgets")
async def take_budget(budget: Budget) -> str:
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


@pytest.fixture(scope="module")
async def database_url(databases: TestDatabases) -> str:
    """A database with one table, whose unique constraint is checked only at the commit."""
    url = databases.kernel()
    engine = make_engine(url)
    async with engine.begin() as tx:
        await tx.execute(
            text("CREATE TABLE stone (n int UNIQUE DEFERRABLE INITIALLY DEFERRED CHECK (n < 100))")
        )
    await engine.dispose()
    return url


@pytest.fixture
async def client(database_url: str, tokens: Tokens) -> AsyncIterator[Api]:
    async with api(create_app, "masonry", database_url, tokens, max_body_bytes=LIMIT) as made:
        yield made


@pytest.fixture
async def committing(client: Api, database_url: str) -> AsyncIterator[Api]:
    """The client with sessions whose commits are real."""
    engine = make_engine(database_url)
    client.runtime.sessions = make_sessions(engine)
    yield client
    async with engine.begin() as tx:
        await tx.execute(text("TRUNCATE stone"))
    await engine.dispose()


async def stones(client: Api) -> list[int]:
    async with client.runtime.sessions() as session:
        return list(await session.scalars(text("SELECT n FROM stone ORDER BY n")))


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert body["correlation_id"] == response.headers["x-correlation-id"]
    return bool((response.status_code, body["status"], body["code"]) == (status, status, code))


async def test_a_change_is_committed_before_the_response(committing: Api):
    response = await committing.http.post("/stones?number=1")

    assert response.status_code == 201
    assert await stones(committing) == [1]


async def test_a_failed_commit_never_gives_a_successful_response(committing: Api):
    await committing.http.post("/stones?number=2")

    response = await committing.http.post("/stones?number=2")

    assert is_problem(response, 500, "our-fault")
    assert await stones(committing) == [2]


async def test_while_the_database_is_away_the_response_says_so(client: Api):
    engine = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    client.runtime.sessions = make_sessions(engine)

    response = await client.http.post("/stones?number=3")
    ready = await client.http.get("/readyz")

    assert is_problem(response, 503, "away-for-a-moment")
    assert response.headers["retry-after"] == "2"
    assert (ready.status_code, ready.json()["checks"]) == (503, {"database": False})
    assert ready.json()["causes"] == {"database": str(outage_causes.DATABASE_AWAY)}
    await engine.dispose()


async def test_simultaneous_requests_for_readiness_query_the_database_once(client: Api):
    asked = 0
    sessions = client.runtime.sessions

    def counted() -> Any:
        nonlocal asked
        asked += 1
        return sessions()

    client.runtime.sessions = counted  # type: ignore[assignment]  # as much of it as is used

    answers = await asyncio.gather(*(client.http.get("/readyz") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 422, "invalid"),
        ("missing", 404, "not-found"),
        ("forbidden", 403, "forbidden"),
        ("conflict", 409, "wall-is-full"),
        ("stale", 409, "changed-meanwhile"),
        ("bug", 500, "our-fault"),
    ],
)
async def test_each_refusal_has_its_status_and_code(client: Api, name, status, code):
    response = await client.http.get(f"/raises/{name}", headers={"X-Correlation-ID": "c-1"})

    assert is_problem(response, status, code)
    assert response.json()["correlation_id"] == "c-1"
    assert "0600000000" not in response.text


def test_every_kind_of_refusal_has_its_own_status():
    assert set(problems.STATUS) == set(Kind)
    assert len(set(problems.STATUS.values())) == len(Kind)


async def test_a_refusal_names_the_field_and_the_remedy(client: Api):
    one = await client.http.get("/raises/invalid")
    two = await client.http.get("/raises/many")

    assert one.json()["errors"] == [
        {"field": "budget_centimes", "message": "budget is above 100: ask for less"}
    ]
    assert [error["field"] for error in two.json()["errors"]] == ["a", "b.0"]


async def test_a_malformed_request_names_each_field_and_repeats_no_value(client: Api):
    response = await client.http.post(
        "/budgets", json={"title": "xy", "budget_centimes": "0600000000x"}
    )

    assert is_problem(response, 422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == ["title", "budget_centimes"]
    assert "0600000000" not in response.text


async def test_a_body_that_is_no_json_says_where(client: Api):
    response = await client.http.post(
        "/budgets", content=b'{"title": ', headers={"content-type": "application/json"}
    )

    (error,) = response.json()["errors"]
    assert is_problem(response, 422, "invalid-request")
    assert (error["field"], "character" in error["message"]) == ("body", True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "no-such-path"), ("GET", "/stones", 405, "method-not-allowed")],
)
async def test_unknown_paths_and_methods_are_problems_too(client: Api, method, path, status, code):
    assert is_problem(await client.http.request(method, path), status, code)


async def test_without_a_token_the_answer_says_where_to_get_one(client: Api):
    response = await client.http.get("/me")

    assert is_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "POST /token" in response.json()["detail"]


async def test_a_token_names_the_caller(client: Api, tokens: Tokens):
    subject = uuid4()

    response = await client.http.get("/me", headers=tokens.headers(subject=subject))

    assert response.json() == str(subject)


async def test_a_body_declared_too_large_is_refused_unread(client: Api):
    response = await client.http.post("/budgets", content=b"x" * (LIMIT + 1))

    assert is_problem(response, 413, "body-too-large")
    assert str(LIMIT) in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [("/budgets", "application/json", LIMIT), ("/files", "text/csv", 2 * LIMIT)],
)
async def test_a_body_that_grows_too_large_is_refused_while_it_is_read(
    client: Api, path, kind, limit
):
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(limit // 512 + 1):
            yield b" " * 512

    response = await client.http.post(path, content=parts(), headers={"content-type": kind})

    assert is_problem(response, 413, "body-too-large")


async def test_a_path_may_have_a_larger_limit_of_its_own(client: Api):
    response = await client.http.post("/files", content=b"x" * (LIMIT + 1))

    assert response.json() == LIMIT + 1


@pytest.mark.parametrize("kind", ["application/json", "Application/X+JSON; charset=utf-8"])
async def test_json_never_has_the_larger_limit_for_it_is_read_before_the_token(client: Api, kind):
    response = await client.http.post(
        "/files", content=b" " * (LIMIT + 1), headers={"content-type": kind}
    )

    assert is_problem(response, 413, "body-too-large")


@pytest.mark.parametrize("kinds", [("text/csv", "application/json"), ("application/json",) * 2])
async def test_two_content_types_are_refused_whichever_comes_first(client: Api, kinds):
    for order in (kinds, kinds[::-1]):
        response = await client.http.post(
            "/budgets",
            content=b'{"title": "a", "title": "abc", "budget_centimes": 1}',
            headers=[("content-type", kind) for kind in order],
        )

        assert is_problem(response, 400, "several-content-types")


@pytest.mark.parametrize("end", ["%0A", "%0D", "%00", "%7F", "%C2%85"])
async def test_a_path_with_a_control_character_does_not_exist(client: Api, end):
    response = await client.http.get(f"/healthz{end}")

    assert is_problem(response, 404, "no-such-path")


async def test_the_callers_correlation_id_is_used_and_returned(client: Api):
    response = await client.http.get("/context", headers={"X-Correlation-ID": "order-7"})

    assert response.json()["correlation_id"] == "order-7"
    assert response.headers["x-correlation-id"] == "order-7"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 81, 'x"}', "é".encode("latin-1")])
async def test_a_malformed_correlation_id_is_replaced(client: Api, sent):
    response = await client.http.get("/context", headers={b"X-Correlation-ID": sent})

    UUID(response.headers["x-correlation-id"])


async def test_the_callers_trace_goes_on_and_a_malformed_one_is_replaced(client: Api):
    trace = f"00-{'a' * 32}-{'b' * 16}-01"

    kept = await client.http.get("/context", headers={"traceparent": trace})
    made = await client.http.get("/context", headers={"traceparent": "00-x-y-01"})

    assert kept.json()["traceparent"] == trace
    assert made.json()["traceparent"] != "00-x-y-01"


async def test_requests_at_the_same_time_keep_their_ids_apart(client: Api):
    ids = [f"c-{number}" for number in range(20)]

    answers = await asyncio.gather(
        *(client.http.get("/context", headers={"X-Correlation-ID": one}) for one in ids)
    )

    assert [answer.json()["correlation_id"] for answer in answers] == ids


def test_a_cursor_comes_back_as_it_was():
    subject = uuid4()

    assert decode_cursor(encode_cursor(7, "ص"), int, str) == (7, "ص")
    assert decode_cursor(encode_cursor(str(subject)), UUID) == (subject,)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "====",
        "a" * 5000,
        encode_cursor(1),
        encode_cursor(1, "a", "b"),
        encode_cursor("1", "a"),
        encode_cursor(2**63, "a"),
        encode_cursor(1, "a\0"),
        encode_cursor(True, "a"),
        "eyJhIjoxfQ",
        "MQ",
    ],
)
async def test_a_cursor_that_no_list_made_is_refused(client: Api, cursor):
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, int, str)

    response = await client.http.get("/page", params={"after": cursor})
    assert is_problem(response, 422, "invalid-cursor")


def test_a_cursor_for_ids_takes_ids_only():
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor("not-an-id"), UUID)


@pytest.fixture
def logged() -> Any:
    """Returns the lines that the process has logged, as JSON data."""
    kept, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "faststream")}
    logs.configure("masonry")
    stream = io.StringIO()
    root.handlers[0].setStream(stream)  # type: ignore[attr-defined]  # a StreamHandler
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = handlers, level
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.configure(**kept)
    structlog.contextvars.clear_contextvars()


async def test_each_request_is_logged_in_one_line_with_its_id_and_without_its_body(
    client: Api, logged
):
    await client.http.post(
        "/budgets",
        json={"title": "0600000000", "budget_centimes": -1},
        headers={"X-Correlation-ID": "order-9"},
    )

    (line,) = logged()
    assert (line["event"], line["status"], line["service"]) == ("request answered", 422, "masonry")
    assert line["correlation_id"] == "order-9"
    assert "0600000000" not in json.dumps(line)


async def test_an_error_is_logged_with_lines_of_code_and_without_values(committing: Api, logged):
    await committing.http.get("/raises/bug", headers={"X-Correlation-ID": "order-10"})
    await committing.http.post("/stones?number=600000000")

    failed = [line for line in logged() if line["event"] == "request failed"]
    assert [line["level"] for line in failed] == ["error", "error"]
    assert failed[0]["correlation_id"] == "order-10"
    assert "test_web.py" in failed[0]["exception"]
    assert "CheckViolationError 23514 stone_n_check" in failed[1]["exception"]
    assert "600000000" not in json.dumps(failed)


async def test_log_lines_of_libraries_are_structured_too(logged):
    logging.getLogger("a.library").warning("something %s", "odd")

    (line,) = logged()
    assert (line["event"], line["level"], line["service"]) == (
        "something odd",
        "warning",
        "masonry",
    )


async def test_metrics_are_in_the_format_of_prometheus(client: Api):
    response = await client.http.get("/metrics")

    assert "taawon_outbox_published_total" in response.text


async def test_a_live_process_says_so_without_its_database(client: Api):
    assert (await client.http.get("/healthz")).status_code == 204
