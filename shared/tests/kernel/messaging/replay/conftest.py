"""A service that publishes and replays, and one that consumes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devkit.pytest_plugin import TestDatabases, Vhost

from ..harness import EventSource, RunningService, event_source, running_service
from .replay_runs import carpenters, received


@pytest.fixture
async def source(vhost: Vhost, databases: TestDatabases) -> AsyncIterator[EventSource]:
    url = databases.kernel()
    consumers = carpenters().consumers
    async with event_source(
        vhost.admin_url, vhost.url("masonry"), url, consumers=consumers
    ) as made:
        yield made


@pytest.fixture
async def receiver(
    vhost: Vhost, source: EventSource, databases: TestDatabases
) -> AsyncIterator[RunningService]:
    received.clear()
    url = vhost.url("carpentry")
    async with running_service(carpenters(), vhost.admin_url, url, databases.kernel()) as made:
        yield made
