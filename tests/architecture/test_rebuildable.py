"""A consumer that may receive events again writes its own projection, and nothing else at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from devkit.pytest_plugin import TestDatabases
from notifications.fanout import handlers
from shared.contracts import catalogue
from shared.contracts.base import Event
from shared.contracts.criteria import Criteria
from shared.contracts.funding import CallOpened
from shared.kernel.data.database import Sessions, make_sessions
from shared.kernel.messaging.consumers import Consumer
from shared.kernel.service.spec import installed_consumers

CONSUMERS = [consumer for consumer in installed_consumers() if consumer.rebuildable]
CASES = [(consumer, event) for consumer in CONSUMERS for event in consumer.events]
WRITTEN = """
SELECT relname FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""


def a_call_for_everybody() -> CallOpened:
    call = CallOpened.model_validate_json(catalogue.sample(CallOpened.topic))
    track = call.call.tracks[0].model_copy(update={"criteria": Criteria()})
    open_to_all = call.call.model_copy(update={"tracks": (track,), "deadline": None})
    return call.model_copy(update={"call": open_to_all})


@pytest.fixture(scope="module")
async def sessions(databases: TestDatabases) -> AsyncIterator[Sessions]:
    """Notifications with a call that is open to everybody: any consumer that alerts would do so."""
    # A connection each: the database counts what one has written until it reports it, some later.
    engine = create_async_engine(databases.fresh("notifications"), poolclass=NullPool)
    made = make_sessions(engine)
    async with made.begin() as session:
        await handlers.follow_call(a_call_for_everybody(), session)
    yield made
    await engine.dispose()


async def written_by(handler: Any, event: Event, session: AsyncSession) -> set[str]:
    """The tables that it changed, as the database counts them in this one transaction."""
    await handler(event, session)
    await session.flush()
    return set(await session.scalars(text(WRITTEN)))


@pytest.mark.parametrize(
    ("consumer", "event"), CASES, ids=[f"{r.queue} {e.topic}" for r, e in CASES]
)
async def test_a_rebuildable_consumer_writes_its_projection_and_nothing_else(
    consumer: Consumer, event: type[Event], sessions: Sessions
) -> None:
    message = event.model_validate_json(catalogue.sample(event.topic))

    async with sessions() as session:
        written = await written_by(consumer.handler, message, session)

    assert written
    assert written <= set(consumer.projection)


async def test_a_consumer_that_alerts_people_would_be_seen(sessions: Sessions) -> None:
    async with sessions() as session:
        call = a_call_for_everybody()
        newer = call.call.model_copy(update={"version": call.call.version + 1})
        message = call.model_copy(update={"call": newer})
        written = await written_by(handlers.follow_call, message, session)

    assert "outbox" in written


def test_the_projections_of_the_register_are_rebuildable() -> None:
    assert {consumer.queue for consumer in CONSUMERS} >= {
        "notifications.store_imported_cooperatives",
        "notifications.store_cooperative",
        "notifications.store_partner",
    }
