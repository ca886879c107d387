"""The registry's HTTP API and its database under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from devkit import pytest_plugin
from registry.app import create_app

from .builders import People, headers_with_account


@pytest.fixture(scope="session")
def app(databases: pytest_plugin.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    return create_app(pytest_plugin.test_settings("registry", databases.migrated("registry")))


@pytest.fixture
async def api(
    app: FastAPI, databases: pytest_plugin.TestDatabases, tokens: pytest_plugin.Tokens
) -> AsyncIterator[pytest_plugin.Api]:
    url = databases.migrated("registry")
    async with pytest_plugin.api(lambda _: app, "registry", url, tokens) as api:
        yield api


@pytest.fixture
async def operator(api: pytest_plugin.Api, tokens: pytest_plugin.Tokens) -> dict[str, str]:
    """The headers of an operator who has an account."""
    return await headers_with_account(api, tokens, "operator")


@pytest.fixture
async def people(
    api: pytest_plugin.Api, operator: dict[str, str], tokens: pytest_plugin.Tokens
) -> People:
    return People(
        tokens, operator, await headers_with_account(api, tokens, "partner", partner="oasis")
    )
