"""The HTTP API of the idea bank on a real database that is rolled back after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from devkit import pytest_plugin
from ideas.app import create_app


@pytest.fixture(scope="session")
def app(databases: pytest_plugin.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    return create_app(pytest_plugin.test_settings("ideas", databases.migrated("ideas")))


@pytest.fixture
async def api(
    app: FastAPI, databases: pytest_plugin.TestDatabases, tokens: pytest_plugin.Tokens
) -> AsyncIterator[pytest_plugin.Api]:
    url = databases.migrated("ideas")
    async with pytest_plugin.api(lambda _: app, "ideas", url, tokens) as api:
        yield api
