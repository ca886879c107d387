"""Reads of partner institutions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from . import models
from .domain import NoSuchPartner, Partner


async def list_partners(session: AsyncSession) -> Sequence[Partner]:
    return (await session.execute(select(Partner).order_by(models.partner.c.slug))).scalars().all()


async def find_partner(session: AsyncSession, slug: str) -> Partner:
    found = (await session.execute(select(Partner).filter_by(slug=slug))).scalar_one_or_none()
    if found is None:
        raise NoSuchPartner(f"no partner {slug} is registered")
    return found
