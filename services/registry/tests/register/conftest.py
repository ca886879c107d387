"""A database for tests of imports, which commit."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from devkit import pytest_plugin
from shared.kernel.data.database import Sessions, make_engine, make_sessions


@pytest.fixture(scope="module")
def url(databases: pytest_plugin.TestDatabases) -> str:
    """Imports commit, so they have a database of their own; each test has its own court."""
    return databases.fresh("registry")


@pytest.fixture(scope="module")
async def sessions(url: str) -> AsyncIterator[Sessions]:
    engine = make_engine(url)
    yield make_sessions(engine)
    await engine.dispose()


@pytest.fixture
def court() -> str:
    return f"TPI {uuid.uuid4().hex}"
