"""Feeds, subscriptions and partner queues of partner institutions."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import and_, func, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.admin.schemas import PartnerDelivery
from shared.kernel.data.database import AnyRow

from ..models import feed_delivery, feed_entry, partner, partner_queue_table, subscription


async def read_feed(session: AsyncSession, slug: str, *, after: int, limit: int) -> list[AnyRow]:
    """The next entries of a partner's feed after a position, in order."""
    rows = await session.execute(
        select(feed_entry)
        .where(feed_entry.c.slug == slug, feed_entry.c.position > after)
        .order_by(feed_entry.c.position)
        .limit(limit)
    )
    return list(rows)


async def last_position(session: AsyncSession, slug: str) -> int:
    """The position of the newest entry that a feed ever had; 0 where it had none."""
    query = select(partner.c.last_position).where(partner.c.slug == slug)
    return int(await session.scalar(query) or 0)


async def list_subscriptions(session: AsyncSession, slug: str) -> list[AnyRow]:
    """The subscriptions of a partner, active and ended, the oldest first."""
    rows = await session.execute(
        select(subscription)
        .where(subscription.c.slug == slug)
        .order_by(subscription.c.created_at, subscription.c.subscription_id)
    )
    return list(rows)


async def get_partner_queue(session: AsyncSession, slug: str) -> AnyRow | None:
    """The partner queue of a partner; None where none was requested."""
    rows = await session.execute(
        select(partner_queue_table).where(partner_queue_table.c.slug == slug)
    )
    return rows.one_or_none()


async def partner_deliveries(
    session: AsyncSession, events: Collection[UUID], most: int
) -> list[PartnerDelivery]:
    """In which partners' feeds these events are, and when each first went out by each channel.

    At most `most` rows, in the order of time; a row without a channel is the entry in the feed.
    """
    # Entries are joined with partners because the index on events begins with the slug.
    entry, delivery = feed_entry.c, feed_delivery.c
    about = (entry.event_id, entry.topic, entry.slug.label("partner"), entry.position)
    fed = (
        select(*about, null().label("channel"), entry.recorded_at.label("at"))
        .join(partner, partner.c.slug == entry.slug)
        .where(entry.event_id.in_(events))
    )
    covers = and_(
        delivery.slug == entry.slug,
        entry.position.between(delivery.first_position, delivery.last_position),
    )
    delivered = (
        select(*about, delivery.channel, func.min(delivery.first_at).label("at"))
        .join(partner, partner.c.slug == entry.slug)
        .join(feed_delivery, covers)
        .where(entry.event_id.in_(events), delivery.first_at.is_not(None))
        .group_by(*about, delivery.channel)
    )
    rows = await session.execute(union_all(fed, delivered).order_by("at").limit(most))
    return [PartnerDelivery.model_validate(row._mapping) for row in rows]
