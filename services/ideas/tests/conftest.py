"""The HTTP door of the idea bank on a real database that is rolled back after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ideas.app import create_app
from shared import testing


@pytest.fixture
async def door(
    databases: testing.TestDatabases, tokens: testing.Tokens
) -> AsyncIterator[testing.Api]:
    url = databases.migrated("ideas")
    async with testing.api(create_app, "ideas", url, tokens) as api:
        yield api
