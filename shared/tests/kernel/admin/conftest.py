"""A client of the made-up service, for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devkit.pytest_plugin import Api, TestDatabases, Tokens, api
from shared.kernel.auth.tokens import Role

from .rows import QUEUE, create_app


@pytest.fixture(scope="module")
def database_url(databases: TestDatabases) -> str:
    return databases.kernel()


@pytest.fixture
async def client(database_url: str, tokens: Tokens) -> AsyncIterator[Api]:
    async with api(create_app, "masonry", database_url, tokens) as made:
        made.http.headers.update(tokens.headers(Role.OPERATOR))
        made.runtime.queues = (QUEUE,)
        yield made
