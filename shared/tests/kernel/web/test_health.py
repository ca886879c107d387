"""Readiness, health and metrics, while the database is there and while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

from devkit.pytest_plugin import Api
from shared.kernel import outage_causes
from shared.kernel.data.database import make_engine, make_sessions

from .made_up_service import is_problem


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


async def test_metrics_are_in_the_format_of_prometheus(client: Api):
    response = await client.internal("/metrics")

    assert "taawon_outbox_published_total" in response.text


async def test_a_live_process_says_so_without_its_database(client: Api):
    assert (await client.http.get("/healthz")).status_code == 204
