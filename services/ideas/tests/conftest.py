"""The HTTP door of the idea bank on a real database that is rolled back after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from ideas.app import create_app
from shared import testing


@pytest.fixture(scope="session")
def app(databases: testing.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    return create_app(testing.test_settings("ideas", databases.migrated("ideas")))


@pytest.fixture
async def door(
    app: FastAPI, databases: testing.TestDatabases, tokens: testing.Tokens
) -> AsyncIterator[testing.Api]:
    url = databases.migrated("ideas")
    async with testing.api(lambda _: app, "ideas", url, tokens) as api:
        yield api
