"""What must be there once is made once, also by two who make it at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from devkit.pytest_plugin import SEAL_KEY, TestDatabases, eventually
from registry.identity.domain.accounts import AccountExists
from registry.identity.usecases import accounts
from registry.partners import usecases as partners
from registry.partners.domain import PartnerExists
from registry.privacy.domain.found_records import PersonIdentifiers
from registry.privacy.domain.requests import RequestKind
from registry.privacy.usecases.proposals import Proposal
from shared.contracts.base import Localized
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import Role
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer

from .builders import a_confirmed_request

SEALER = Sealer([SEAL_KEY])
TAKEN = "taken@taawon.example"
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.fixture
async def engine(databases: TestDatabases) -> AsyncIterator[AsyncEngine]:
    made = make_engine(databases.fresh("registry"))
    yield made
    await made.dispose()


async def waiting(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(WAITING)).scalar_one())


async def test_of_two_who_register_a_partner_at_once_the_second_is_refused(engine: AsyncEngine):
    sessions = make_sessions(engine)
    name = Localized(fr="Essai", ar="تجربة")

    async def register() -> None:
        async with sessions.begin() as session:
            await partners.register_partner(
                session, LOCAL_OPERATOR, slug="oasis", name=name, kind="bank", language="fr"
            )

    async with sessions.begin() as session:
        await partners.register_partner(
            session, LOCAL_OPERATOR, slug="oasis", name=name, kind="bank", language="fr"
        )
        await session.flush()
        second = asyncio.create_task(register())
        await eventually(lambda: waiting(engine))

    with pytest.raises(PartnerExists):
        await second


async def test_an_e_mail_that_is_corrected_while_another_account_gets_it_is_taken(
    engine: AsyncEngine,
):
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        corrected = await accounts.create_account(
            session,
            SEALER,
            LOCAL_OPERATOR,
            email="old@taawon.example",
            password="a long enough pass phrase 7",
            roles=[Role.HOLDER],
        )

    async with sessions.begin() as session:
        await accounts.create_account(
            session,
            SEALER,
            LOCAL_OPERATOR,
            email=TAKEN,
            password="a long enough pass phrase 7",
            roles=[Role.HOLDER],
        )
        await session.flush()
        correction = asyncio.create_task(correct(sessions, corrected.id))
        await eventually(lambda: waiting(engine))

    with pytest.raises(AccountExists):
        await correction


async def correct(sessions: Sessions, account_id: UUID) -> None:
    async with sessions.begin() as session:
        named = PersonIdentifiers(account_ids=frozenset({account_id}))
        proposal = Proposal(named=named, corrections={"email": TAKEN})
        await a_confirmed_request(session, SEALER, RequestKind.RECTIFICATION, proposal)
