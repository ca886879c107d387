"""The consumer at work, and a dead letter of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devkit.pytest_plugin import TestDatabases, Vhost
from shared.kernel.data.tables import DeadLetterRow

from ..harness import RunningService, a_stone, message_of, post, running_service
from .gate import Gate, the_dead_letter


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def running_consumer(
    gate: Gate, vhost: Vhost, databases: TestDatabases
) -> AsyncIterator[RunningService]:
    url = databases.kernel()
    async with running_service(
        gate.consumers, vhost.admin_url, vhost.url("carpentry"), url
    ) as made:
        yield made


@pytest.fixture
async def dead_letter(running_consumer: RunningService, vhost: Vhost) -> DeadLetterRow:
    """A stone that was refused."""
    stone = a_stone(7)
    await post(vhost.url("masonry"), message_of(stone), stone.topic)
    return await the_dead_letter(running_consumer)
