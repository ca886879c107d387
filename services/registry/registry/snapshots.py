"""The present register, page by page, for consumers that rebuild their copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Event, new_id
from shared.contracts.registry import (
    BATCH_LIMIT,
    CooperativeRecord,
    CooperativesImported,
    PartnerRegistered,
)
from shared.kernel.messaging import outbox
from shared.kernel.messaging.replay.sources import Named, Page, Snapshot, page_of

from .partners import models
from .partners.domain import Partner
from .register.models import rows as cooperative_rows
from .register.models import tables

PARTNERS_PER_PAGE: Final = 100
WIDEST_REMAINING: Final = 10**9
"""Stands for the number that is known later, so that it can't make an event too large."""


async def cooperatives_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next `BATCH_LIMIT` cooperatives with their present versions, in one event; in more where
    their names are too long for one.
    """
    key = tables.cooperative.c.id
    query = select(key).order_by(key).limit(BATCH_LIMIT)
    if after is not None:
        query = query.where(key > after)
    page = await page_of(session, "cooperative", (await session.scalars(query)).all(), _batches)
    remaining = await _count_cooperatives(session, after=page.last)
    return replace(page, events=list(_with_remaining(page.events, remaining))[::-1])


def _with_remaining(events: Named, after_page: int) -> Iterator[tuple[str, Event]]:
    """The events, the last one first, each with the number of cooperatives that come after it."""
    remaining = after_page
    for name, event in reversed(events):
        assert isinstance(event, CooperativesImported)
        yield name, event.model_copy(update={"remaining": remaining})
        remaining += len(event.cooperatives)


async def _batches(session: AsyncSession, ids: Sequence[UUID]) -> Named:
    table = tables.cooperative
    query = select(table).where(table.c.id == func.any(list(ids))).order_by(table.c.id)
    rows = [dict(row) for row in (await session.execute(query)).mappings()]
    records = [cooperative_rows.cooperative_from(row).record() for row in rows]
    return [(_name_of(event), event) for event in outbox.divided(records, _batch_of)]


def _batch_of(records: Sequence[CooperativeRecord]) -> CooperativesImported:
    return CooperativesImported(
        batch_id=new_id(),
        import_id=new_id(),
        cooperatives=tuple(records),
        remaining=WIDEST_REMAINING,
    )


def _name_of(event: CooperativesImported) -> str:
    """Its ends and its size: if it is read again with other rows, it is another event."""
    records = event.cooperatives
    first, last = records[0].cooperative_id, records[-1].cooperative_id
    return f"cooperatives {first} {last} {len(records)}"


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
