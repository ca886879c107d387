"""Who owns a record of this service, and so may read its audit."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.audit import Owner

from .audience.models import audience
from .partners.models import subscription


async def owner_of(session: AsyncSession, record_id: UUID) -> Owner | None:
    """A cooperative belongs to itself and to its province, a subscription to its partner.

    None: the id is of neither.
    """
    province = await session.scalar(
        select(audience.c.province).where(audience.c.cooperative_id == record_id)
    )
    if province is not None:
        return Owner(identities=frozenset({record_id}), provinces=frozenset({province}))
    slug = await session.scalar(
        select(subscription.c.slug).where(subscription.c.subscription_id == record_id)
    )
    return Owner(partner=slug) if slug is not None else None
