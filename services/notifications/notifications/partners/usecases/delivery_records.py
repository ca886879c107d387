"""Record what went out of a feed, by which channel and when, so that a ledger can show it.

Deliveries are recorded by ranges of positions, both ends included. An attempt to send to a partner
queue is recorded before it is sent, in a transaction of its own: where the process dies between the
broker's confirm and our mark, that row stays, and the ledger says that these entries may have gone
out once more than it can prove.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, and_, bindparam, delete, func, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from ..domain.ranges import blocks
from ..models import feed_delivery, feed_gap

AMQP = "amqp"
FEED = "feed"


async def record_page_read(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """A page of the HTTP feed went out; that closes the gaps of the queue that it covers."""
    await _record_delivery(session, slug, FEED, first, last)
    await _close_gaps(session, slug, first, last, by=FEED)


async def record_attempt(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """These are about to be sent to the queue; whether they arrive is not known yet."""
    attempt = insert(feed_delivery).values(**_attempt(slug, first, last), unsure=1)
    await session.execute(
        attempt.on_conflict_do_update(
            index_elements=list(_attempt(slug, first, last)),
            set_={"unsure": feed_delivery.c.unsure + 1},
        )
    )


async def record_outcome(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """The broker answered for each entry of an attempt, so the attempt is not unsure any more."""
    table = feed_delivery.c
    same = and_(*(table[name] == value for name, value in _attempt(slug, first, last).items()))
    await session.execute(
        update(feed_delivery).where(same, table.unsure > 0).values(unsure=table.unsure - 1)
    )
    await session.execute(delete(feed_delivery).where(same, table.times == 0, table.unsure == 0))


async def record_sent(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """The broker confirmed one more delivery of these to the queue."""
    await _record_delivery(session, slug, AMQP, first, last)


async def close_replayed_gaps(
    session: AsyncSession, slug: str, first: int, last: int, *, replay: int
) -> None:
    """A replay sent these again: their gaps are closed, unless that very copy was dropped."""
    await _close_gaps(session, slug, first, last, by="replay", sending=replay)


def _attempt(slug: str, first: int, last: int) -> dict[str, Any]:
    return {"slug": slug, "channel": AMQP, "first_position": first, "last_position": last}


_DELIVERED = text(
    """
INSERT INTO feed_delivery AS d
    (slug, channel, first_position, last_position, times, first_at, last_at)
SELECT :slug, :channel, b.first, b.last, 1, now.at, now.at
FROM unnest(:firsts, :lasts) AS b(first, last), (SELECT clock_timestamp() AS at) AS now
ORDER BY b.first
ON CONFLICT (slug, channel, first_position, last_position) DO UPDATE SET
    times = d.times + 1, first_at = coalesce(d.first_at, excluded.first_at),
    last_at = excluded.last_at
"""
).bindparams(
    bindparam("firsts", type_=ARRAY(BigInteger)), bindparam("lasts", type_=ARRAY(BigInteger))
)


async def _record_delivery(
    session: AsyncSession, slug: str, channel: str, first: int, last: int
) -> None:
    firsts, lasts = zip(*blocks(first, last), strict=True)
    await session.execute(
        _DELIVERED, {"slug": slug, "channel": channel, "firsts": list(firsts), "lasts": list(lasts)}
    )


async def _close_gaps(
    session: AsyncSession, slug: str, first: int, last: int, *, by: str, sending: int | None = None
) -> None:
    gap = feed_gap.c
    closing = update(feed_gap).where(
        gap.slug == slug, gap.position.between(first, last), gap.closed_at.is_(None)
    )
    if sending is not None:
        closing = closing.where(gap.sending < sending)
    await session.execute(closing.values(closed_at=func.clock_timestamp(), closed_by=by))
