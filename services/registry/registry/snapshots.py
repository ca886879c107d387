"""The present register, page by page, for consumers that rebuild their copy."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id
from shared.contracts.registry import BATCH_LIMIT, CooperativesImported, PartnerRegistered
from shared.kernel.messaging.replay.sources import Page, Snapshot

from .partners import models
from .partners.domain import Partner
from .register.models import rows as cooperative_rows
from .register.models import tables

PARTNERS_PER_PAGE: Final = 100


async def cooperatives_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next `BATCH_LIMIT` cooperatives with their present versions, as one event."""
    table = tables.cooperative
    query = select(table).order_by(table.c.id).limit(BATCH_LIMIT)
    if after is not None:
        query = query.where(table.c.id > after)
    rows = [dict(row) for row in (await session.execute(query)).mappings()]
    if not rows:
        return Page((), 0, None)
    records = tuple(cooperative_rows.cooperative_from(row).record() for row in rows)
    event = CooperativesImported(
        batch_id=new_id(),
        import_id=new_id(),
        cooperatives=records,
        remaining=await _count_cooperatives(session, after=rows[-1]["id"]),
    )
    # Named after its ends and its size: if it is read again with other rows, it is another event.
    name = f"cooperatives {rows[0]['id']} {rows[-1]['id']} {len(rows)}"
    return Page([(name, event)], len(rows), rows[-1]["id"])


async def partners_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next partners, with an event for each."""
    query = select(Partner).order_by(models.partner.c.id).limit(PARTNERS_PER_PAGE)
    if after is not None:
        query = query.where(models.partner.c.id > after)
    found = (await session.scalars(query)).all()
    events = [(f"partner {partner.id}", partner.registered()) for partner in found]
    return Page(events, len(found), found[-1].id if found else None)


async def _count_cooperatives(session: AsyncSession, after: UUID | None = None) -> int:
    query = select(func.count()).select_from(tables.cooperative)
    if after is not None:
        query = query.where(tables.cooperative.c.id > after)
    return int(await session.scalar(query) or 0)


async def _count_partners(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.count()).select_from(models.partner)) or 0)


SNAPSHOTS: Final = (
    Snapshot(
        "cooperatives", (CooperativesImported.topic,), cooperatives_after, _count_cooperatives
    ),
    Snapshot("partners", (PartnerRegistered.topic,), partners_after, _count_partners),
)
"""What other services may ask to be sent again: the whole register, all partners."""
