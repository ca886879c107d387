"""Announces the register as it is now, for listeners that have to build their copy again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

from sqlalchemy import select

from registry import models
from shared import audit
from shared.auth import Principal, Role
from shared.contracts.base import new_id
from shared.contracts.registry import BATCH_LIMIT, CooperativesImported
from shared.database import Sessions
from shared.messaging import outbox


async def announce_register(sessions: Sessions, caller: Principal) -> AsyncGenerator[int]:
    """Every cooperative with its present version; whoever has that version is not changed by it.

    Live changes may go on meanwhile: copies keep the newest version that they have seen. Yields
    how many were announced so far.
    """
    caller.require(Role.OPERATOR)
    run, table, announced = new_id(), models.cooperative, 0
    last: UUID | None = None
    while True:
        query = select(table).order_by(table.c.id).limit(BATCH_LIMIT)
        if last is not None:
            query = query.where(table.c.id > last)
        async with sessions.begin() as session:
            rows = [dict(row) for row in (await session.execute(query)).mappings()]
            if not rows:
                return
            if last is None:
                audit.record(session, caller, action="register announced again", subject_id=run)
            records = tuple(models.cooperative_from(row).record() for row in rows)
            outbox.add(
                session,
                CooperativesImported(batch_id=new_id(), import_id=run, cooperatives=records),
            )
        announced, last = announced + len(rows), rows[-1]["id"]
        yield announced
