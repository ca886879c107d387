"""The present register, page by page, for consumers that rebuild their copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id
from shared.contracts.registry import BATCH_LIMIT, CooperativesImported, PartnerRegistered
from shared.kernel.messaging.replay.sources import Named, Page, Snapshot, page_of

from .partners import models
from .partners.domain import Partner
from .register.models import rows as cooperative_rows
from .register.models import tables

PARTNERS_PER_PAGE: Final = 100


async def cooperatives_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next `BATCH_LIMIT` cooperatives with their present versions, as one event."""
    key = tables.cooperative.c.id
    query = select(key).order_by(key).limit(BATCH_LIMIT)
    if after is not None:
        query = query.where(key > after)
    page = await page_of(session, "cooperative", (await session.scalars(query)).all(), _batch)
    remaining = await _count_cooperatives(session, after=page.last)
    events = [
        (name, event.model_copy(update={"remaining": remaining})) for name, event in page.events
    ]
    return replace(page, events=events)


async def _batch(session: AsyncSession, ids: Sequence[UUID]) -> Named:
    table = tables.cooperative
    query = select(table).where(table.c.id == func.any(list(ids))).order_by(table.c.id)
    rows = [dict(row) for row in (await session.execute(query)).mappings()]
    records = tuple(cooperative_rows.cooperative_from(row).record() for row in rows)
    event = CooperativesImported(batch_id=new_id(), import_id=new_id(), cooperatives=records)
    # Named after its ends and its size: if it is read again with other rows, it is another event.
    name = f"cooperatives {rows[0]['id']} {rows[-1]['id']} {len(rows)}"
    return [(name, event)]


async def partners_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next partners, with an event for each."""
    key = models.partner.c.id
    query = select(key).order_by(key).limit(PARTNERS_PER_PAGE)
    if after is not None:
        query = query.where(key > after)
    return await page_of(session, "partner", (await session.scalars(query)).all(), _registered)


async def _registered(session: AsyncSession, ids: Sequence[UUID]) -> Named:
    key = models.partner.c.id
    found = await session.scalars(select(Partner).where(key.in_(ids)).order_by(key))
    return [(f"partner {partner.id}", partner.registered()) for partner in found]


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
