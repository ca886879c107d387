"""Connections: checked when they have rested, never for nothing, and useless ones dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import database
from shared.database import is_infrastructure, make_engine
from shared.testing import drop_sessions


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(postgres_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def pings(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that were asked whether their server still answers."""
    asked: list[object] = []
    really = engine.dialect.do_ping

    def ping(connection: object) -> bool:
        asked.append(connection)
        return really(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", ping)
    return asked


async def use(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(select(1)))


async def test_a_connection_in_use_is_not_asked_each_time(engine, pings):
    for _ in range(3):
        await use(engine)

    assert pings == []


async def test_a_connection_that_rested_is_asked_before_its_next_use(engine, pings, monkeypatch):
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
    await use(engine)
    await use(engine)

    assert len(pings) == 1


async def test_a_connection_cut_while_it_rested_is_replaced(engine, postgres_url, monkeypatch):
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
    await use(engine)
    await drop_sessions(postgres_url)

    assert await use(engine) == 1


def test_a_connection_in_a_state_of_its_own_says_nothing_about_the_message():
    error = asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is …")

    assert is_infrastructure(error)
