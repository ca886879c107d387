"""Repeated requests: a request finds what an earlier one with its key made, even at the same time.

A table that stores keys has a unique constraint on (who made it, key).
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, func
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.advisory_locks import wait_for_lock

Made = TypeVar("Made")


async def made_before(
    session: AsyncSession, caller: UUID, key: UUID | None, query: Select[Made]
) -> Made | None:
    """What this caller's earlier request with this key made, as the query finds it.

    Without a key it is None. Requests with one key take turns until the end of the transaction, so
    that of two at the same moment the second finds what the first has made.
    """
    if key is None:
        return None
    await wait_for_lock(session, func.hashtextextended(f"{caller}:{key}", 0))
    return await session.scalar(query)
