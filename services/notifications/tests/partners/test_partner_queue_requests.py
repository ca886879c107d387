"""Several clients of a partner that request its queue at the same moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from devkit.pytest_plugin import TestDatabases, eventually
from notifications.partners.models import partner, partner_queue_table
from notifications.partners.usecases.partner_queue import Credentials, request_partner_queue
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import make_engine, make_sessions

WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.fixture
async def engine(databases: TestDatabases) -> AsyncIterator[AsyncEngine]:
    made = make_engine(databases.fresh("notifications"))
    yield made
    await made.dispose()


def a_client(slug: str) -> Principal:
    return Principal(subject=uuid.uuid4(), roles=frozenset({Role.PARTNER}), partner=slug)


@pytest.mark.parametrize("is_known", [True, False])
async def test_two_first_requests_at_once_make_one_queue(engine: AsyncEngine, is_known: bool):
    slug, sessions = "oasis", make_sessions(engine)
    if is_known:
        async with sessions.begin() as session:
            await session.execute(partner.insert().values(slug=slug))

    async def request() -> Credentials:
        async with sessions.begin() as session:
            return await request_partner_queue(session, a_client(slug))

    async with sessions.begin() as session:
        first = await request_partner_queue(session, a_client(slug))
        await session.flush()
        second = asyncio.create_task(request())
        await eventually(lambda: waiting(engine))
    later = await second

    assert (later.queue, later.username) == (first.queue, first.username)
    assert later.password != first.password
    async with sessions() as session:
        assert await queues(session) == 1


async def waiting(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(WAITING)).scalar_one())


async def queues(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(partner_queue_table)) or 0
