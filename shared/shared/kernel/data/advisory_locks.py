"""Advisory locks of a service's database: a number that one transaction holds until its end.

Each number is declared beside what it protects, as a constant `…_LOCK`. Services have separate
databases, so a number has to be unique within one service and the kernel only.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

Key = int | ColumnElement[int]
"""A signed number of 64 bits, or an SQL expression for one, such as the hash of a text."""


async def wait_for_lock(session: AsyncSession, key: Key, *, shared: bool = False) -> None:
    """Hold the lock until the end of the transaction, alone or shared with others who share it.

    Waits while somebody else holds it, for as long as the database lets a statement run.
    """
    function = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    await session.execute(select(function(key)))


async def take_lock(
    session: AsyncSession | AsyncConnection, key: Key, *, shared: bool = False
) -> bool:
    """As `wait_for_lock` without waiting: False where somebody else holds it."""
    function = func.pg_try_advisory_xact_lock_shared if shared else func.pg_try_advisory_xact_lock
    return bool(await session.scalar(select(function(key))))
