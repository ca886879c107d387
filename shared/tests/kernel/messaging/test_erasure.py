"""What a person had erased stays out of dead letters that are stored at the same moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import TestDatabases, eventually
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import dead_letters, erasure

WHO = uuid.uuid4()
BODY = orjson.dumps({"cooperative_id": str(WHO), "version": 1, "contact_sealed": "ciphertext"})
WITHOUT = {"cooperative_id": str(WHO), "version": 1, "contact_sealed": None}


class DeadLetter:
    """A message as the collector reads it."""

    def __init__(self) -> None:
        self.body = BODY
        self.headers: dict[str, Any] = {}
        self.message_id = str(uuid.uuid4())
        self.user_id, self.type = "registry", "registry.cooperative.changed.v1"


@pytest.fixture
async def sessions(databases: TestDatabases) -> AsyncIterator[Sessions]:
    engine = make_engine(databases.kernel())
    yield make_sessions(engine)
    await engine.dispose()


async def keep(session: AsyncSession) -> None:
    dead_letter = cast("AbstractIncomingMessage", DeadLetter())
    await dead_letters.keep(session, "registry.x", dead_letter, takes=[])


async def erase(session: AsyncSession) -> None:
    erased = erasure.Erased(below={WHO: 2})
    erasure.remember(session, erased)
    await erasure.scrub(session, erased)


@pytest.mark.parametrize(("first", "second"), [(keep, erase), (erase, keep)])
async def test_a_dead_letter_kept_during_an_erasure_is_kept_without_the_person(
    sessions: Sessions, first: Any, second: Any
):
    async def meanwhile() -> None:
        async with sessions.begin() as session:
            await second(session)

    async with sessions.begin() as session:
        await first(session)
        other = asyncio.create_task(meanwhile())
        await eventually(lambda: other.done() or waits(sessions))
    await other

    async with sessions() as session:
        (kept,) = await session.scalars(select(DeadLetterRow.body))
    assert orjson.loads(kept) == WITHOUT


async def waits(sessions: Sessions) -> bool:
    """Whether any transaction waits for an advisory lock."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    async with sessions() as session:
        return bool(await session.scalar(text(query)))
