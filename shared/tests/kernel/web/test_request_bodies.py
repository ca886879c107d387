"""Bodies have a limit and one content type."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devkit.pytest_plugin import Api

from .made_up_service import LIMIT, is_problem


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
