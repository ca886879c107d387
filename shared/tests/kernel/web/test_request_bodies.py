"""Bodies have a limit and one content type, and are read only for who may send one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from devkit.pytest_plugin import Api, Tokens, api
from shared import json_text
from shared.kernel.web.request_bodies import DEEPEST, MOST_ELEMENTS, MOST_FORM_BYTES

from .made_up_service import LIMIT, create_app, is_problem

JSON = {"Content-Type": "application/json"}
BUDGET = b'{"title": "a wall", "budget_centimes": 1}'


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


class Body:
    """A body that knows whether any of it was read."""

    def __init__(self, content: bytes = BUDGET) -> None:
        self.content = content
        self.is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.is_read = True
        yield self.content


async def _sent(
    client: Api, body: Body, path: str = "/my-budgets", **headers: str
) -> httpx.Response:
    return await client.http.post(path, content=body, headers=JSON | headers)


async def test_without_a_valid_token_nothing_of_a_body_is_read(client: Api, tokens: Tokens):
    for headers in ({}, {"Authorization": "Bearer none"}, tokens.headers("operator", exp=1)):
        body = Body(b"[" * LIMIT)

        response = await _sent(client, body, **headers)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert not body.is_read


async def test_above_a_limit_nothing_of_a_body_is_read(
    database_url: str, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
):
    def parse(_: bytes) -> None:
        raise AssertionError("parsed")

    for limits in ({"rate_limit": 1}, {"rate_limit_address": 1}):
        caller = tokens.headers("operator", subject=uuid4())
        async with api(create_app, "masonry", database_url, tokens, **limits) as limited:
            assert (await _sent(limited, Body(), **caller)).status_code == 200
            body = Body()
            with monkeypatch.context() as patched:
                patched.setattr(json_text, "refuse_ambiguous", parse)
                response = await _sent(limited, body, **caller)

        assert is_problem(response, 429, "too-often")
        assert not body.is_read


async def test_a_refused_body_counts_against_its_address(database_url: str, tokens: Tokens):
    async with api(
        create_app, "masonry", database_url, tokens, max_body_bytes=LIMIT, rate_limit_address=1
    ) as limited:
        answers = [
            await limited.http.post("/budgets", content=b"x" * (LIMIT + 1)) for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [413, 429]
    assert answers[0].headers["RateLimit"].startswith('"address";r=0')


async def test_a_caller_is_verified_and_counted_once_for_its_body_and_its_route(
    database_url: str, tokens: Tokens
):
    async with api(create_app, "masonry", database_url, tokens, rate_limit=2) as limited:
        response = await _sent(limited, Body(), **tokens.headers("operator"))

    assert (response.status_code, response.json()) == (200, "a wall")
    assert response.headers["RateLimit"].startswith('"caller";r=1')


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" + b"[]," * MOST_ELEMENTS + b"[]]", str(MOST_ELEMENTS)),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), str(DEEPEST)),
        (b"[" * (MOST_ELEMENTS * 2), str(MOST_ELEMENTS)),
    ],
    ids=["many", "deep", "never closed"],
)
async def test_json_that_would_take_long_to_parse_is_refused_unparsed(
    database_url: str, tokens: Tokens, monkeypatch: pytest.MonkeyPatch, body: bytes, words: str
):
    parsed: list[bytes] = []
    monkeypatch.setattr(json_text, "refuse_ambiguous", parsed.append)
    async with api(create_app, "masonry", database_url, tokens) as client:
        response = await client.http.post("/budgets", content=body, headers=JSON)

    assert is_problem(response, 422, "invalid-request")
    assert response.json()["errors"][0]["field"] == "body"
    assert words in response.json()["detail"]
    assert parsed == []


async def test_a_form_has_a_small_limit(database_url: str, tokens: Tokens):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with api(create_app, "masonry", database_url, tokens) as client:
        response = await client.http.post("/files", content=b"a&" * MOST_FORM_BYTES, headers=form)

    assert is_problem(response, 413, "body-too-large")
