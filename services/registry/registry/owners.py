"""Whose a record of the registry is, and so who may read its audit."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.audit import Owner

from .identity import models as identity_models
from .partners import models as partner_models
from .register.models import tables


async def owner_of(session: AsyncSession, record_id: UUID) -> Owner | None:
    """Whose a cooperative, an account, a partner or an API client is; None for any other record.

    A cooperative is its own and lies in its province; an account is its own; a client is its
    partner's.
    """
    columns = tables.cooperative.c
    province = await session.scalar(select(columns.province).where(columns.id == record_id))
    if province is not None:
        return Owner(identities=frozenset({record_id}), provinces=frozenset({province}))
    accounts = identity_models.account.c
    if await session.scalar(select(accounts.id).where(accounts.id == record_id)) is not None:
        return Owner(identities=frozenset({record_id}))
    clients, partners = identity_models.api_client.c, partner_models.partner.c
    of_client = select(clients.partner_id).where(clients.id == record_id).scalar_subquery()
    slug = await session.scalar(
        select(partners.slug).where(or_(partners.id == record_id, partners.id == of_client))
    )
    return Owner(partner=slug) if slug is not None else None
