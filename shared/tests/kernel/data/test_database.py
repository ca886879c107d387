"""Connections: tested after a pause, invalidated when unusable, and waited for within limits."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from devkit.pytest_plugin import drop_sessions, eventually
from shared.kernel import outage_causes
from shared.kernel.data import database
from shared.kernel.data.database import MOST, is_infrastructure, make_engine, make_sessions, reading
from shared.kernel.web import problems

pytestmark = pytest.mark.servers


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(postgres_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def pings(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that were tested, one entry for each test."""
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


async def test_a_connection_in_use_is_not_tested_each_time(engine, pings):
    for _ in range(3):
        await use(engine)

    assert pings == []


async def test_an_idle_connection_is_tested_before_its_next_use(engine, pings, monkeypatch):
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
    await use(engine)
    await use(engine)

    assert len(pings) == 1


async def test_a_connection_cut_while_idle_is_replaced(engine, postgres_url, monkeypatch):
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
    await use(engine)
    await drop_sessions(postgres_url)

    assert await use(engine) == 1


def test_an_error_of_the_state_of_a_connection_counts_as_an_outage():
    error = asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is …")

    assert is_infrastructure(error)


async def test_a_pool_without_a_free_connection_counts_as_an_outage(postgres_url: str):
    narrow = create_async_engine(postgres_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    async with narrow.connect() as held:
        with pytest.raises(PoolTimeoutError) as waited:
            await use(narrow)
        assert await held.scalar(select(1)) == 1
    await narrow.dispose()

    assert is_infrastructure(waited.value)
    assert outage_causes.of_database(waited.value) == outage_causes.POOL_IN_USE
    assert problems.unexpected(waited.value).status_code == 503


async def backends(engine: AsyncEngine) -> set[int]:
    """The server's processes of as many connections as there are at most, all in use at once."""
    async with AsyncExitStack() as held:
        opened = [await held.enter_async_context(engine.connect()) for _ in range(MOST)]
        return {await each.scalar(select(func.pg_backend_pid())) for each in opened}


async def test_a_busy_process_opens_no_connection_twice(engine):
    assert await backends(engine) == await backends(engine)


async def moments(session: AsyncSession) -> list[datetime]:
    """When the transactions of two statements began."""
    return [await session.scalar(select(func.now())) for _ in range(2)]


async def test_a_session_for_reading_has_no_transaction_and_leaves_none_to_others(postgres_url):
    async with patient(postgres_url, pool_size=1) as engine:
        sessions = make_sessions(engine)
        async with reading(sessions) as session:
            first, second = await moments(session)
        async with sessions.begin() as session:
            third, fourth = await moments(session)

    assert first < second < third == fourth


LOCK = 77


@asynccontextmanager
async def patient(url: str, **patience: Any) -> AsyncIterator[AsyncEngine]:
    made = make_engine(url, **patience)
    try:
        yield made
    finally:
        await made.dispose()


async def is_free(other: AsyncEngine) -> bool:
    async with other.begin() as tx:
        return bool(await tx.scalar(select(func.pg_try_advisory_xact_lock(LOCK))))


async def test_a_process_that_falls_silent_in_a_transaction_loses_its_locks(postgres_url: str):
    async with patient(postgres_url, idle_seconds=0.3) as silent, patient(postgres_url) as other:
        connection = await silent.connect()
        await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))

        await eventually(lambda: is_free(other))

        with pytest.raises(Exception) as lost:
            await connection.execute(text("SELECT 1"))
        assert is_infrastructure(lost.value)
        await connection.close()
        assert await is_free(silent)


async def test_a_process_that_falls_silent_between_two_messages_of_a_statement_loses_its_locks(
    postgres_url: str,
):
    async with (
        patient(postgres_url, transaction_seconds=0.5) as silent,
        patient(postgres_url) as other,
    ):
        connection = await silent.connect()
        await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        driver = await begin_a_statement(connection)
        assert await state_of_holder(other) in ("active", "gone"), (
            "no idle transaction: that limit is blind"
        )

        await eventually(lambda: is_free(other))

        await eventually(driver.is_closed)
        await connection.invalidate()
        await connection.close()


async def begin_a_statement(connection: AsyncConnection) -> asyncpg.Connection:
    """Send the messages with which the driver prepares a statement, and nothing after them."""
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    text = b"\0SELECT 1\0" + (0).to_bytes(2, "big")
    parse = b"P" + (len(text) + 4).to_bytes(4, "big") + text
    flush = b"H" + (4).to_bytes(4, "big")
    raw.driver_connection._transport.write(parse + flush)
    return raw.driver_connection


async def state_of_holder(other: AsyncEngine) -> str:
    """The state of the session that has the lock, or `gone` where a slow machine looks too late."""
    holder = text(
        "SELECT a.state FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.objid = :key AND a.query LIKE 'SELECT 1%'"
    )
    async with other.begin() as tx:

        async def began() -> str | None:
            held = await tx.scalar(holder, {"key": LOCK})
            return "gone" if held is None and await is_free(other) else held

        return await eventually(began)


async def test_a_statement_without_an_answer_counts_as_an_outage(postgres_url: str):
    async with patient(postgres_url, statement_seconds=0.2) as impatient:
        with pytest.raises(Exception) as late:
            async with impatient.begin() as tx:
                await tx.execute(text("SELECT pg_sleep(30)"))

        assert is_infrastructure(late.value)


async def test_a_connection_that_gave_no_answer_is_not_used_again(postgres_url: str):
    async with patient(postgres_url, statement_seconds=0.2) as impatient:
        before = await session_of(impatient)
        with pytest.raises(TimeoutError):
            async with impatient.begin() as tx:
                await tx.execute(text("SELECT pg_sleep(30)"))

        assert await session_of(impatient) != before


async def session_of(engine: AsyncEngine) -> int:
    """The id of the first session that answers in time; on a busy machine some may not."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with engine.connect() as connection:
                return int(await connection.scalar(select(func.pg_backend_pid())))


async def test_the_database_shows_which_process_a_session_belongs_to(postgres_url: str):
    async with patient(postgres_url, name="taawon masonry") as named, named.begin() as tx:
        shown = await tx.scalar(text("SHOW application_name"))

    assert shown == "taawon masonry"
