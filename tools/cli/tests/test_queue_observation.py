"""What the broker counts of queues, as the doctor reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aio_pika
import pytest

from cli.observe import queues
from devkit.pytest_plugin import Vhost, eventually
from shared.kernel.messaging import topology

pytestmark = pytest.mark.servers

PAUSE = 0.2
STRAYS = 40


@pytest.fixture
def vhost(vhosts) -> Iterator[Vhost]:
    made = vhosts()
    yield made
    made.broker.management.delete_vhost(made.name)


async def leaving(vhost: Vhost, tier: str) -> bool:
    """Whether all that was published is counted as leaving."""
    found = await asyncio.to_thread(queues, vhost.broker.management, vhost.name)
    return next(queue.leaving for queue in found if queue.name == tier) == STRAYS


async def test_messages_that_cannot_leave_a_retry_tier_are_counted(vhost: Vhost):
    tier = topology.Tier(PAUSE).name
    await topology.apply(vhost.admin_url, (PAUSE,), ())
    async with await aio_pika.connect(vhost.admin_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(tier)
        await channel.exchange_delete(topology.RETRY_EXCHANGE)
        for _ in range(STRAYS):
            await exchange.publish(aio_pika.Message(b"{}"), "carpentry.removed")

    await eventually(lambda: leaving(vhost, tier))
