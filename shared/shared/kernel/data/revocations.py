"""Which tokens are refused before they expire, because the rights of their subject ended or shrank.

The registry publishes `TokensRevoked`; every service stores it and looks here on each request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.errors import Unauthenticated
from shared.kernel.auth.tokens import MAX_TOKEN_LIFETIME, Principal

from .advisory_locks import wait_for_lock
from .database import Sessions, is_infrastructure
from .tables import RevocationRow

log = structlog.get_logger()

FRESH_SECONDS: Final = 2.0
"""How old may be what a process knows of revocations, in seconds, while its database answers."""
READ_SECONDS: Final = 3.0
"""How long a request waits for revocations to be read; then what is known counts."""
KEPT: Final = MAX_TOKEN_LIFETIME + timedelta(hours=1)
"""How long a revocation is stored: every token that it refuses has expired long before."""


class TokenRevoked(Unauthenticated):
    """The rights or the password changed after this token was issued, or they ended: get a new
    token from POST /token of the registry; if that refuses you too, ask an operator."""


async def store_revocation(session: AsyncSession, subject_id: UUID, not_before: datetime) -> None:
    """Refuse the tokens that were issued to the subject before this instant.

    Safe to repeat and in any order: the latest instant stays. It holds the lock of the subject
    until the transaction ends, so each credential that is made with `refuse_revoked` is either
    refused or seen by whoever stores the revocation and then looks for it.
    """
    await _wait_for_subject(session, subject_id)
    statement = insert(RevocationRow).values(subject_id=subject_id, not_before=not_before)
    latest = func.greatest(RevocationRow.not_before, statement.excluded.not_before)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[RevocationRow.subject_id], set_={"not_before": latest}
        )
    )


async def refuse_revoked(session: AsyncSession, caller: Principal) -> None:
    """Raise `TokenRevoked` if the caller's token is revoked now, whatever is cached.

    For whatever makes a credential: it holds the lock of the subject until the transaction ends.
    """
    await _wait_for_subject(session, caller.subject)
    stored = select(RevocationRow.not_before).where(RevocationRow.subject_id == caller.subject)
    _refuse(caller, await session.scalar(stored))


async def delete_expired(engine: AsyncEngine) -> None:
    """Delete the revocations of which no token is left."""
    async with engine.begin() as tx:
        await tx.execute(delete(RevocationRow).where(RevocationRow.not_before < func.now() - KEPT))


class Revocations:
    """The revocations that matter now, as a process knows them: at most `fresh_seconds` old.

    While the database is away, what is known counts.
    """

    def __init__(self, sessions: Sessions, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._sessions = sessions
        self._fresh = fresh_seconds
        self._known: Mapping[UUID, datetime] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def refuse(self, caller: Principal) -> None:
        """Raise `TokenRevoked` if the caller's token is revoked."""
        if not self._is_fresh():
            async with self._lock:
                if not self._is_fresh():
                    await self._read()
        _refuse(caller, self._known.get(caller.subject))

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._read_at < self._fresh

    async def _read(self) -> None:
        started = time.monotonic()
        recent = RevocationRow.not_before > func.now() - MAX_TOKEN_LIFETIME
        query = select(RevocationRow.subject_id, RevocationRow.not_before).where(recent)
        try:
            async with asyncio.timeout(READ_SECONDS), self._sessions() as session:
                rows = (await session.execute(query)).all()
        except Exception as error:
            # Without its table, the schema is that of another version, which `GET /status` says.
            if not (is_infrastructure(error) or isinstance(error, ProgrammingError)):
                raise
            log.warning("revocations unreadable", error=type(error).__name__)
        else:
            self._known = {row.subject_id: row.not_before for row in rows}
        self._read_at = started


def _refuse(caller: Principal, not_before: datetime | None) -> None:
    if not_before is None:
        return
    if caller.issued_at is None or caller.issued_at < not_before:
        raise TokenRevoked


async def _wait_for_subject(session: AsyncSession, subject_id: UUID) -> None:
    await wait_for_lock(session, func.hashtextextended(f"revocation of {subject_id}", 0))
