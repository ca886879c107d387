"""Feeds, subscriptions and doors of partner institutions."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import (
    amqp_door,
    feed_entry,
    partner,
    subscription,
)
from .rows import AnyRow


async def read_feed(session: AsyncSession, slug: str, *, after: int, limit: int) -> list[AnyRow]:
    """The next entries of a partner's feed, by number."""
    rows = await session.execute(
        select(feed_entry)
        .where(feed_entry.c.slug == slug, feed_entry.c.position > after)
        .order_by(feed_entry.c.position)
        .limit(limit)
    )
    return list(rows)


async def last_position(session: AsyncSession, slug: str) -> int:
    """The number of the newest entry that a feed ever had; 0 where it had none."""
    query = select(partner.c.last_position).where(partner.c.slug == slug)
    return int(await session.scalar(query) or 0)


async def list_subscriptions(session: AsyncSession, slug: str) -> list[AnyRow]:
    rows = await session.execute(
        select(subscription)
        .where(subscription.c.slug == slug)
        .order_by(subscription.c.created_at, subscription.c.subscription_id)
    )
    return list(rows)


async def get_door(session: AsyncSession, slug: str) -> AnyRow | None:
    rows = await session.execute(select(amqp_door).where(amqp_door.c.slug == slug))
    return rows.one_or_none()
