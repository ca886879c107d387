"""A database with a table of work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devkit.pytest_plugin import TestDatabases
from shared.kernel.data.database import make_engine, make_sessions

from .work import Workshop, metadata


@pytest.fixture
async def workshop(databases: TestDatabases) -> AsyncIterator[Workshop]:
    url = databases.scratch()
    engine = make_engine(url)
    async with engine.begin() as tx:
        await tx.run_sync(metadata.create_all)
    yield Workshop(url, engine, make_sessions(engine))
    await engine.dispose()
