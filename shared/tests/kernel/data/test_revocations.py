"""Revoked tokens: the latest instant counts, what is known is seconds old, a credential is not."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from devkit.pytest_plugin import PATIENCE, Postgres, TestDatabases, closed, eventually
from shared.kernel.auth.tokens import MAX_TOKEN_LIFETIME, Principal
from shared.kernel.data import revocations
from shared.kernel.data.database import Sessions, make_engine, make_sessions, moment
from shared.kernel.data.revocations import Revocations, TokenRevoked
from shared.kernel.data.tables import RevocationRow

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def url(databases: TestDatabases) -> str:
    return databases.kernel()


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return make_sessions(engine)


async def revoke(sessions: Sessions, subject: uuid.UUID, *instants: datetime) -> None:
    for instant in instants:
        async with sessions.begin() as session:
            await revocations.store_revocation(session, subject, instant)


async def present(sessions: Sessions) -> datetime:
    async with sessions() as session:
        return await moment(session)


def a_caller(subject: uuid.UUID, issued_at: datetime | None) -> Principal:
    return Principal(subject=subject, issued_at=issued_at)


@pytest.mark.parametrize("order", list(itertools.permutations([0, 1, 1, 2])))
async def test_the_latest_instant_stays_whatever_the_order_and_the_repeats(
    sessions: Sessions, order: tuple[int, ...]
) -> None:
    subject, now = uuid.uuid4(), datetime.now(UTC)

    await revoke(sessions, subject, *(now + timedelta(seconds=each) for each in order))

    async with sessions() as session:
        stored = await session.get_one(RevocationRow, subject)
    assert stored.not_before == now + timedelta(seconds=2)


async def test_a_token_of_the_same_second_is_refused_only_if_it_is_older(
    sessions: Sessions,
) -> None:
    subject, now = uuid.uuid4(), await present(sessions)
    await revoke(sessions, subject, now)
    known = Revocations(sessions)

    for issued_at in (now - MICROSECOND, None):
        with pytest.raises(TokenRevoked):
            await known.refuse(a_caller(subject, issued_at))
    await known.refuse(a_caller(subject, now))
    await known.refuse(a_caller(uuid.uuid4(), now - MICROSECOND))


async def test_a_process_learns_of_a_revocation_within_seconds(sessions: Sessions) -> None:
    known, subject = Revocations(sessions), uuid.uuid4()
    caller = a_caller(subject, await present(sessions))
    await known.refuse(caller)
    await revoke(sessions, subject, await present(sessions))

    async def refused() -> bool:
        try:
            await known.refuse(caller)
        except TokenRevoked:
            return True
        return False

    assert await eventually(refused, within=PATIENCE)


async def test_where_a_credential_is_made_nothing_is_cached(sessions: Sessions) -> None:
    subject = uuid.uuid4()
    caller = a_caller(subject, await present(sessions))
    async with sessions.begin() as session:
        await revocations.refuse_revoked(session, caller)
    await revoke(sessions, subject, await present(sessions))

    async with sessions.begin() as session:
        with pytest.raises(TokenRevoked):
            await revocations.refuse_revoked(session, caller)


async def test_while_the_database_is_away_what_is_known_counts(
    postgres: Postgres, url: str, sessions: Sessions
) -> None:
    subject, now = uuid.uuid4(), await present(sessions)
    await revoke(sessions, subject, now)
    known = Revocations(sessions, fresh_seconds=0)
    old, other = a_caller(subject, now - MICROSECOND), a_caller(uuid.uuid4(), now)
    with pytest.raises(TokenRevoked):
        await known.refuse(old)

    async with closed(postgres, url):
        with pytest.raises(TokenRevoked):
            await known.refuse(old)
        await known.refuse(other)


async def test_a_revocation_is_kept_until_every_token_that_it_refuses_has_long_expired(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    now = await present(sessions)
    kept, gone = uuid.uuid4(), uuid.uuid4()
    await revoke(sessions, kept, now - MAX_TOKEN_LIFETIME)
    await revoke(sessions, gone, now - MAX_TOKEN_LIFETIME - timedelta(hours=1, seconds=1))

    await revocations.delete_expired(engine)

    async with sessions() as session:
        left = set(await session.scalars(select(RevocationRow.subject_id)))
    assert (kept in left, gone in left) == (True, False)
