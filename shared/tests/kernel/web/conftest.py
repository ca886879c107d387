"""The made-up service on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from devkit.pytest_plugin import Api, TestDatabases, Tokens, api
from shared.kernel.data.database import make_engine, make_sessions

from .made_up_service import LIMIT, create_app


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
        await tx.execute(text("TRUNCATE stone, idempotency_key"))
    await engine.dispose()
