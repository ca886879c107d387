"""One transaction per request: it is committed before the response."""

from __future__ import annotations

from sqlalchemy import text

from devkit.pytest_plugin import Api

from .made_up_service import is_problem


async def stones(client: Api) -> list[int]:
    async with client.runtime.sessions() as session:
        return list(await session.scalars(text("SELECT n FROM stone ORDER BY n")))


async def test_a_change_is_committed_before_the_response(committing: Api):
    response = await committing.http.post("/stones?number=1")

    assert response.status_code == 201
    assert await stones(committing) == [1]


async def test_a_failed_commit_never_gives_a_successful_response(committing: Api):
    await committing.http.post("/stones?number=2")

    response = await committing.http.post("/stones?number=2")

    assert is_problem(response, 500, "our-fault")
    assert await stones(committing) == [2]
