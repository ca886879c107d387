"""One record of a batch that the audience can't take stops no other, from queue to table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aio_pika
import orjson
import pytest
from sqlalchemy import func, select

from devkit.pytest_plugin import TestDatabases, Vhost, eventually, test_settings
from notifications.app import SPEC
from notifications.audience.models import audience
from shared.contracts.base import LARGEST_VERSION_GAP, Event
from shared.contracts.registry import CooperativesImported
from shared.kernel.data.database import engine_of
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import topology, wire
from shared.kernel.runtime import Runtime
from shared.kernel.service.background import collect_dead_letters
from shared.kernel.service.consuming import keep_consuming
from shared.kernel.service.lifespan import assemble

from ..builders import a_record, imported

QUEUE = "notifications.store_imported_cooperatives"


@pytest.fixture
async def consuming(
    vhosts: Callable[..., Vhost], databases: TestDatabases
) -> AsyncIterator[tuple[Runtime, Vhost]]:
    """The consumers of notifications at work on a database of their own."""
    vhost = vhosts("registry", "notifications")
    assert SPEC.consumers is not None
    await topology.apply(vhost.admin_url, (0.1,), SPEC.consumers.consumers)
    settings = test_settings(
        "notifications",
        databases.fresh("notifications"),
        amqp_url=vhost.url("notifications"),
        retry_delays=(0.1,),
    )
    engine = engine_of(settings, "notifications")
    runtime = assemble(SPEC, settings, engine)
    tasks = [
        asyncio.create_task(keep_consuming(runtime, SPEC.consumers)),
        asyncio.create_task(collect_dead_letters(runtime, SPEC.consumers)),
    ]
    yield runtime, vhost
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert runtime.publisher is not None
    await runtime.publisher.close()
    await engine.dispose()
    vhost.broker.management.delete_vhost(vhost.name)


async def _publish(vhost: Vhost, event: Event) -> None:
    connection = await aio_pika.connect(vhost.url("registry"))
    async with connection:
        exchange = await (await connection.channel()).get_exchange(topology.EVENTS, ensure=False)
        message = wire.message(
            event_id=event.event_id,
            topic=event.topic,
            occurred_at=event.occurred_at,
            body=event.model_dump_json().encode(),
            headers={},
            service="registry",
            user="registry",
        )
        await exchange.publish(message, event.topic)


async def test_a_record_that_the_audience_refuses_is_dead_alone(
    consuming: tuple[Runtime, Vhost],
):
    runtime, vhost = consuming
    known, *others = [a_record() for _ in range(100)]
    await _publish(vhost, imported(known))
    await eventually(lambda: _stored(runtime, 1))
    far = known.model_copy(update={"version": LARGEST_VERSION_GAP + 2})
    huge = a_record().model_copy(update={"members_total": 2**40})

    await _publish(vhost, imported(*others[:50], far, *others[50:], huge))
    (letter,) = await eventually(lambda: _dead_letters(runtime))

    await eventually(lambda: _stored(runtime, 100))
    bad = {str(far.cooperative_id), str(huge.cooperative_id)}
    assert {each["cooperative_id"] for each in orjson.loads(letter.body)["cooperatives"]} == bad
    assert (letter.queue, letter.topic) == (QUEUE, CooperativesImported.topic)
    assert "ImplausibleVersion" in letter.error
    assert " in 2 of 101: " in letter.error


async def _stored(runtime: Runtime, many: int) -> bool:
    async with runtime.sessions() as session:
        return await session.scalar(select(func.count()).select_from(audience)) == many


async def _dead_letters(runtime: Runtime) -> list[DeadLetterRow]:
    async with runtime.sessions() as session:
        return list(await session.scalars(select(DeadLetterRow)))
