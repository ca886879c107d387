"""Ending the tokens of an account or an API client in every service, before they expire."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.registry import TokensRevoked
from shared.kernel.data.database import moment
from shared.kernel.data.revocations import store_revocation
from shared.kernel.messaging import outbox


async def revoke_tokens(
    session: AsyncSession, subject_id: UUID, *, partner: str | None = None
) -> None:
    """Refuse the tokens that the subject was issued until now, in every service.

    `partner` is the institution for which it may act no more. Call it with the row of the subject
    locked: tokens are issued under a shared lock of that row and dated by the same clock, so each
    is either older than this instant or issued for what the row says afterwards.
    """
    not_before = await moment(session)
    await store_revocation(session, subject_id, not_before)
    outbox.add(
        session, TokensRevoked(subject_id=subject_id, not_before=not_before, partner=partner)
    )
