"""The registry's HTTP door and its database under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from registry.app import create_app
from shared import testing

from .builders import recorded


@pytest.fixture(scope="session")
def app(databases: testing.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    return create_app(testing.test_settings("registry", databases.migrated("registry")))


@pytest.fixture
async def door(
    app: FastAPI, databases: testing.TestDatabases, tokens: testing.Tokens
) -> AsyncIterator[testing.Api]:
    url = databases.migrated("registry")
    async with testing.api(lambda _: app, "registry", url, tokens) as api:
        yield api


@pytest.fixture
async def operator(door: testing.Api, tokens: testing.Tokens) -> dict[str, str]:
    """The headers of an operator who has an account."""
    return await recorded(door, tokens, "operator")
