"""The ledger of a partner: every entry of its feed with channels, times and gaps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import NotFound
from shared.kernel.data.database import AnyRow, Sessions

from ..domain.positions import refuse_beyond_end

BATCH = 1_000


class NoSuchPartner(NotFound):
    """No institution of this slug has a feed here: check the slug."""


@dataclass(frozen=True)
class ChannelDelivery:
    """How an entry went out by one channel: `times` times for sure.

    `unsure` counts attempts that began and whose outcome was never noted. `first_at` is None where
    there are only such.
    """

    channel: str
    first_at: datetime | None
    last_at: datetime | None
    times: int
    unsure: int


@dataclass(frozen=True)
class Gap:
    """A run of entries that the partner's queue lacks, for one reason; closed once they went out
    again."""

    first_position: int
    last_position: int
    reason: str
    noticed_at: datetime
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True)
class PartnerEntry:
    """One entry of a feed, with the subscriptions that accepted it and how it went out."""

    position: int
    event_id: UUID
    topic: str
    subject_id: UUID | None
    recorded_at: datetime
    subscriptions: list[UUID]
    channels: tuple[ChannelDelivery, ...]
    gap: Gap | None


# A range is at most as wide as a batch of its channel (100 by AMQP, 1000 by the feed), so few rows
# are read for one entry.
_ENTRIES = text(
    """
SELECT e.position, e.event_id, e.topic, e.recorded_at, e.subscriptions,
       coalesce(j.data ->> 'call_id', j.data ->> 'idea_id') AS subject_id,
       g.reason, g.noticed_at, g.closed_at, g.closed_by,
       w.channels
FROM feed_entry e
CROSS JOIN LATERAL (SELECT convert_from(e.body, 'UTF8')::jsonb AS data) j
LEFT JOIN feed_gap g ON g.slug = e.slug AND g.position = e.position
LEFT JOIN LATERAL (
    SELECT jsonb_agg(to_jsonb(one) ORDER BY one.channel) AS channels FROM (
        SELECT d.channel, min(d.first_at) AS first_at, max(d.last_at) AS last_at,
               sum(d.times)::int AS times, sum(d.unsure)::int AS unsure
        FROM feed_delivery d
        WHERE d.slug = e.slug AND d.last_position >= e.position
          AND d.first_position <= e.position
          AND ((d.channel = 'amqp' AND d.first_position > e.position - 100)
            OR (d.channel = 'feed' AND d.first_position > e.position - 1000))
        GROUP BY d.channel
    ) one
) w ON true
WHERE e.slug = :slug AND e.position > :after
ORDER BY e.position LIMIT :limit
"""
)


async def partner_entries(
    session: AsyncSession, slug: str, *, after: int, limit: int
) -> list[PartnerEntry]:
    """The next entries of a partner's ledger after a position, in order."""
    rows = await session.execute(_ENTRIES, {"slug": slug, "after": after, "limit": limit})
    return [_entry(row) for row in rows]


async def partner_batches(
    sessions: Sessions, slug: str, *, after: int = 0, size: int = BATCH
) -> AsyncIterator[list[PartnerEntry]]:
    """The ledger after a position in batches of `size`, each read in a transaction of its own."""
    while True:
        async with sessions() as session:
            batch = await partner_entries(session, slug, after=after, limit=size)
        if batch:
            yield batch
            after = batch[-1].position
        if len(batch) < size:
            return


async def require_partner(session: AsyncSession, slug: str, *, after: int = 0) -> None:
    """Raise `NoSuchPartner` for a slug that no partner has, and `BeyondTheEnd` for a position that
    its feed never had.
    """
    query = text("SELECT last_position FROM partner WHERE slug = :slug")
    last = await session.scalar(query, {"slug": slug})
    if last is None:
        raise NoSuchPartner
    refuse_beyond_end(after, last)


# Neighbours with the same reason and `closed_by` are one gap: they have one position minus rank.
_GAPS = text(
    """
SELECT min(position) AS first_position, max(position) AS last_position, reason,
       max(noticed_at) AS noticed_at, max(closed_at) AS closed_at, closed_by
FROM (
    SELECT *, position - row_number() OVER (PARTITION BY reason, closed_by ORDER BY position) AS run
    FROM feed_gap
    WHERE slug = :slug AND position BETWEEN :first AND :last
      AND (closed_at IS NULL OR NOT :only_open)
) g
GROUP BY reason, closed_by, run ORDER BY first_position LIMIT :limit
"""
)
LAST = 2**63 - 1


async def gaps_of(
    session: AsyncSession,
    slug: str,
    *,
    first: int = 0,
    last: int = LAST,
    only_open: bool = True,
    limit: int = 100,
) -> list[Gap]:
    """The gaps of a partner's queue between two positions, as runs, in order."""
    rows = await session.execute(
        _GAPS,
        {"slug": slug, "first": first, "last": last, "only_open": only_open, "limit": limit},
    )
    return [Gap(**row._mapping) for row in rows]


async def count_open_gaps(session: AsyncSession, slug: str) -> int:
    """How many positions a partner's queue lacks that have not gone out again."""
    counted = await session.scalar(
        text("SELECT count(*) FROM feed_gap WHERE slug = :slug AND closed_at IS NULL"),
        {"slug": slug},
    )
    return int(counted or 0)


def _entry(row: AnyRow) -> PartnerEntry:
    return PartnerEntry(
        position=row.position,
        event_id=row.event_id,
        topic=row.topic,
        subject_id=UUID(row.subject_id) if row.subject_id else None,
        recorded_at=row.recorded_at,
        subscriptions=list(row.subscriptions),
        channels=tuple(_channel_delivery(channel) for channel in row.channels or ()),
        gap=_gap(row) if row.reason else None,
    )


def _channel_delivery(channel: dict[str, Any]) -> ChannelDelivery:
    moments = {
        name: datetime.fromisoformat(channel[name]) if channel[name] else None
        for name in ("first_at", "last_at")
    }
    return ChannelDelivery(
        channel=channel["channel"], times=channel["times"], unsure=channel["unsure"], **moments
    )


def _gap(row: AnyRow) -> Gap:
    return Gap(row.position, row.position, row.reason, row.noticed_at, row.closed_at, row.closed_by)
