"""Reads of partner institutions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.sentences import Sentence

from . import models
from .domain import NoSuchPartner, Partner


async def list_partners(session: AsyncSession) -> Sequence[Partner]:
    """All partners, by slug."""
    return (await session.execute(select(Partner).order_by(models.partner.c.slug))).scalars().all()


async def partner_of_slug(session: AsyncSession, slug: str) -> Partner | None:
    """The partner with this slug, if one is registered."""
    return (await session.execute(select(Partner).filter_by(slug=slug))).scalar_one_or_none()


async def find_partner(session: AsyncSession, slug: str) -> Partner:
    """The partner with this slug. Raises NoSuchPartner if none is registered."""
    found = await partner_of_slug(session, slug)
    if found is None:
        raise NoSuchPartner(Sentence("no partner {slug} is registered", slug=slug))
    return found
