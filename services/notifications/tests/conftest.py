"""A session and an HTTP door of notifications on a real database that is rolled back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.app import create_app
from shared import testing


@pytest.fixture
async def session(databases: testing.TestDatabases) -> AsyncIterator[AsyncSession]:
    async with testing.database_session(databases.migrated("notifications")) as session:
        yield session


@pytest.fixture(scope="session")
def app(databases: testing.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    url = databases.migrated("notifications")
    return create_app(testing.test_settings("notifications", url))


@pytest.fixture
async def door(
    app: FastAPI, databases: testing.TestDatabases, tokens: testing.Tokens
) -> AsyncIterator[testing.Api]:
    url = databases.migrated("notifications")
    async with testing.api(lambda _: app, "notifications", url, tokens) as api:
        yield api
