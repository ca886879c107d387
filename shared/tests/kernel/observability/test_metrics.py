"""A scrape never fails and is cheap; only what was committed is counted, under bounded labels."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import PATIENCE, Api, TestDatabases, Tokens, api
from shared.contracts.base import now
from shared.errors import NotFound
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.observability import metrics
from shared.kernel.observability.metrics.scrape import Measure, Scrape, gauge
from shared.kernel.service import app
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

QUEUE = "masonry.lay_stones"
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
router = APIRouter()


class NoSuchStone(NotFound):
    """There is no such stone."""


@router.get("/stones/{stone_id}")
async def read_stone(stone_id: str) -> str:
    if stone_id == "lost":
        raise NoSuchStone
    return stone_id


def create_app(settings: Settings) -> FastAPI:
    return app.build(ServiceSpec(name="masonry", routers=(router,)), settings)


@pytest.fixture(scope="module")
def database_url(databases: TestDatabases) -> str:
    return databases.kernel()


@pytest.fixture
async def client(database_url: str, tokens: Tokens) -> AsyncIterator[Api]:
    async with api(create_app, "masonry", database_url, tokens) as made:
        made.runtime.queues = (QUEUE,)
        yield made


async def samples(client: Api) -> dict[str, float]:
    """Every sample of a scrape under its name and labels."""
    answer = await client.internal("/metrics")
    assert answer.status_code == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_pending_events_and_dead_letters_are_measured(client: Api):
    async with client.sessions.begin() as session:
        await session.execute(text("DELETE FROM outbox"))
        session.add_all([an_event(), an_event(quarantined_at=now())])
        session.add_all([a_dead_letter(), a_dead_letter(), a_dead_letter(state="dropped")])

    found = await samples(client)

    assert (found["taawon_outbox_pending"], found["taawon_outbox_quarantined"]) == (1, 1)
    assert 3590 < found["taawon_outbox_oldest_age_seconds"] < 7200
    assert found[f"taawon_dead_letters{{queue={QUEUE},state=dead}}"] == 2
    assert found[f"taawon_dead_letters{{queue={QUEUE},state=dropped}}"] == 1
    assert found["taawon_database_up"] == 1
    assert found["process_resident_memory_bytes"] > 0
    assert any(name.startswith("taawon_build_info{") for name in found)


def an_event(**values: Any) -> OutboxRow:
    row = {
        "event_id": uuid4(),
        "topic": "masonry.stone.laid.v1",
        "aggregate_id": uuid4(),
        "occurred_at": now(),
        "created_at": now() - timedelta(hours=1),
        "body": b"{}",
        "headers": {},
    }
    return OutboxRow(**{**row, **values})


def a_dead_letter(**values: Any) -> DeadLetterRow:
    row = {
        "queue": QUEUE,
        "message_key": str(uuid4()),
        "body": b"{}",
        "headers": {},
        "error": "StoneTooHeavy",
        "first_failed_at": now(),
        "last_failed_at": now(),
    }
    return DeadLetterRow(**{**row, **values})


async def test_while_the_database_is_away_a_scrape_reports_that_and_the_rest(client: Api):
    engine = make_engine(NOWHERE)
    client.runtime.sessions = make_sessions(engine)

    found = await samples(client)

    assert found["taawon_database_up"] == 0
    assert found["taawon_measured{measure=outbox}"] == 0
    assert "taawon_outbox_pending" not in found
    assert found["taawon_consumers_running"] == 0
    assert "taawon_outbox_published_total" in found


async def one(_: AsyncSession) -> Iterable[Metric]:
    return [gauge("stones", "Stones.", 1)]


def scrape(client: Api, *measures: Measure, **more: Any) -> Scrape:
    return Scrape(lambda: client.runtime.sessions, measures, **more)


def values(families: Iterable[Metric]) -> dict[str, float]:
    return {" ".join((s.name, *s.labels.values())): s.value for f in families for s in f.samples}


async def test_a_measure_that_hangs_is_given_up_and_hides_no_other(client: Api):
    async def hang(session: AsyncSession) -> Iterable[Metric]:
        await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": 2 * PATIENCE})
        return []

    started = time.monotonic()
    found = values(
        await scrape(client, Measure("one", one), Measure("hang", hang), timeout=0.3).families()
    )

    assert time.monotonic() - started < PATIENCE
    assert (found["stones"], found["taawon_measured one"]) == (1, 1)
    assert (found["taawon_measured hang"], found["taawon_database_up"]) == (0, 0)


async def test_a_measure_that_fails_hides_no_other(client: Api):
    async def wrong(session: AsyncSession) -> Iterable[Metric]:
        await session.execute(text("SELECT * FROM no_such_table"))
        return []

    found = values(await scrape(client, Measure("wrong", wrong), Measure("one", one)).families())

    assert (found["taawon_measured wrong"], found["taawon_measured one"]) == (0, 1)
    assert (found["stones"], found["taawon_database_up"]) == (1, 1)


async def test_many_scrapes_query_once_until_the_result_is_old(client: Api):
    asked: list[int] = []
    now = [100.0]

    async def ask(_: AsyncSession) -> Iterable[Metric]:
        asked.append(1)
        return [gauge("stones", "Stones.", len(asked))]

    watched = scrape(client, Measure("stones", ask, every=5), clock=lambda: now[0])
    answers = await asyncio.gather(*(watched.families() for _ in range(5)))
    now[0] += 4.9
    still = await watched.families()
    now[0] += 0.2
    again = await watched.families()

    assert [values(each)["stones"] for each in (*answers, still, again)] == [1] * 6 + [2]


async def test_a_measure_that_failed_is_read_again_soon(client: Api):
    now = [100.0]
    failing = [True]

    async def ask(session: AsyncSession) -> Iterable[Metric]:
        if failing.pop():
            raise ConnectionError
        return await one(session)

    failing.insert(0, False)
    watched = scrape(client, Measure("stones", ask, every=600), clock=lambda: now[0])
    before = values(await watched.families())
    now[0] += 1.1
    after = values(await watched.families())

    assert (before["taawon_database_up"], after["taawon_database_up"]) == (0, 1)
    assert after["stones"] == 1


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/stones/7f3a", "/stones/{stone_id}", "2xx"),
        ("/stones/lost", "/stones/{stone_id}", "4xx"),
        (f"/{uuid4()}", "unmatched", "4xx"),
    ],
)
async def test_requests_are_counted_by_template_and_class(
    client: Api, path: str, route: str, status: str
):
    name, labels = "taawon_http_request_duration_seconds_count", {"route": route, "status": status}
    before = counted(name, method="GET", **labels)

    await client.http.get(path)

    assert counted(name, method="GET", **labels) == before + 1
    assert path not in (await client.internal("/metrics")).text


async def test_an_unknown_http_method_is_no_label(client: Api):
    await client.http.request("GUESS", "/stones/1")

    assert "GUESS" not in (await client.internal("/metrics")).text


async def test_refusals_are_counted_by_their_code(client: Api):
    before = counted("taawon_refusals_total", code="no-such-stone")

    await client.http.get("/stones/lost")

    assert counted("taawon_refusals_total", code="no-such-stone") == before + 1


async def test_what_is_rolled_back_is_not_counted(database_url: str):
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    answers: list[str] = []

    async with sessions() as session:
        await session.execute(text("SELECT 1"))
        metrics.after_commit(session, lambda: answers.append("rolled back"))
        await session.rollback()
    async with sessions.begin() as session:
        await session.execute(text("SELECT 1"))
        metrics.after_commit(session, lambda: answers.append("committed"))
        assert answers == []
    await engine.dispose()

    assert answers == ["committed"]


async def test_names_follow_the_conventions_of_prometheus(client: Api):
    exposed = (await client.internal("/metrics")).text
    for family in text_string_to_metric_families(exposed):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        if family.name.startswith("taawon_"):
            assert family.documentation.endswith((".", "time")), family.name
            assert "_ms" not in family.name
            assert "total" not in family.name or family.type == "counter"
