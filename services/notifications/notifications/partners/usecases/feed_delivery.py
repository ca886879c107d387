"""What goes out of a feed, by which channel and when, so that a ledger can show it.

The partner queue notes that it begins to send before it sends, in a transaction of its own: where
the process dies between the broker's confirm and our mark, that note stays, and the ledger says
that these entries may have gone out once more than it can prove.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from aio_pika import Message
from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel import failpoints
from shared.kernel.data.database import AnyRow, Sessions
from shared.kernel.messaging import topology, wire
from shared.kernel.messaging.publisher import Outcome, Outgoing, Publisher, Unroutable

from ..domain.partner_queue import PartnerQueueState
from ..domain.ranges import blocks
from ..models import feed_delivery, feed_entry, feed_gap, feed_replay, partner, partner_queue_table
from .partner_queue import PARTNER_EXCHANGE

log = structlog.get_logger()

BATCH = 100
AMQP = "amqp"
FEED = "feed"
TRIMMED = "trimmed"
"""Why there is a gap: the feed let the entries go by age before a queue was sent them."""
REPLAY_HEADER = "cloudEvents_replay"
"""Header of a copy that was asked for again: the number of that replay."""


async def deliver_feed(sessions: Sessions, publisher: Publisher) -> bool:
    """Put the next entries of one partner's feed on its queue; whether there was anything to do.

    A crash between the confirm and the commit sends entries again under the same message ids.
    """
    if not await publisher.is_open():
        return False
    async with sessions.begin() as session:
        partner_queue = await _next_partner_queue(session)
        if partner_queue is None:
            return False
        replay = (
            partner_queue.replay_id
            if partner_queue.delivered_position >= partner_queue.last_position
            else None
        )
        entries = await _entries(session, partner_queue, replay)
        if replay is None:
            if (kept := _oldest(partner_queue, entries)) > partner_queue.delivered_position + 1:
                return await _skip_trimmed(session, partner_queue, kept)
        elif not entries:
            # Age took all that the partner asked for: that is done.
            await _advance_replay(session, replay, partner_queue.replay_until)
            return True
        await _begin(sessions, partner_queue.slug, entries)
        user = topology.user_of(publisher.url)
        outcomes = await publisher.publish(
            [
                Outgoing(partner_message(e, user, replay), PARTNER_EXCHANGE, partner_queue.queue)
                for e in entries
            ]
        )
        failpoints.reach("feed.between-confirm-and-mark")
        return await _settle(session, partner_queue, replay, entries, outcomes)


async def _next_partner_queue(session: AsyncSession) -> AnyRow | None:
    """A ready partner queue with something to send; others that deliver now are skipped."""
    waiting = and_(
        feed_replay.c.slug == partner_queue_table.c.slug, feed_replay.c.done_at.is_(None)
    )
    found = await session.execute(
        select(
            partner_queue_table.c.slug,
            partner_queue_table.c.queue,
            partner_queue_table.c.delivered_position,
            partner.c.last_position,
            feed_replay.c.replay_id,
            feed_replay.c.next_position,
            feed_replay.c.last_position.label("replay_until"),
        )
        .join(partner, partner.c.slug == partner_queue_table.c.slug)
        .outerjoin(feed_replay, waiting)
        .where(
            partner_queue_table.c.state == PartnerQueueState.READY,
            or_(
                partner_queue_table.c.delivered_position < partner.c.last_position,
                feed_replay.c.replay_id.is_not(None),
            ),
        )
        .order_by(text("random()"))
        .limit(1)
        .with_for_update(of=partner_queue_table, skip_locked=True)
    )
    return found.one_or_none()


async def _entries(
    session: AsyncSession, partner_queue: AnyRow, replay: int | None
) -> Sequence[AnyRow]:
    """The next ones: what is new before what is wanted again."""
    position = feed_entry.c.position
    wanted = (
        position > partner_queue.delivered_position
        if replay is None
        else position.between(partner_queue.next_position, partner_queue.replay_until)
    )
    rows = await session.execute(
        select(feed_entry)
        .where(feed_entry.c.slug == partner_queue.slug, wanted)
        .order_by(position)
        .limit(BATCH)
    )
    return rows.all()


def _oldest(partner_queue: AnyRow, entries: Sequence[AnyRow]) -> int:
    """The next position that the feed has; a feed has no holes, so what is before it is gone."""
    return int(entries[0].position if entries else partner_queue.last_position + 1)


async def _skip_trimmed(session: AsyncSession, partner_queue: AnyRow, kept: int) -> bool:
    """Go on with the oldest that is kept. What age took before it was sent is a gap."""
    first = partner_queue.delivered_position + 1
    positions = select(func.generate_series(first, kept - 1).label("position")).subquery()
    lost = select(literal(partner_queue.slug), positions.c.position, literal(TRIMMED))
    await session.execute(
        insert(feed_gap).from_select(["slug", "position", "reason"], lost).on_conflict_do_nothing()
    )
    await _set_delivered_position(session, partner_queue.slug, kept - 1)
    log.warning(
        "entries of a feed were trimmed before they were delivered",
        partner=partner_queue.slug,
        first=first,
        last=kept - 1,
    )
    return True


async def _begin(sessions: Sessions, slug: str, entries: Sequence[AnyRow]) -> None:
    async with sessions.begin() as session:
        await _note_begun(session, slug, entries[0].position, entries[-1].position)


async def _settle(
    session: AsyncSession,
    partner_queue: AnyRow,
    replay: int | None,
    entries: Sequence[AnyRow],
    outcomes: Sequence[Outcome],
) -> bool:
    """Note what the broker confirmed, up to the first entry that it did not."""
    first, last = entries[0].position, entries[-1].position
    failed = next((place for place, outcome in enumerate(outcomes) if outcome is not None), None)
    await _note_answered(session, partner_queue.slug, first, last)
    if failed is not None:
        outcome = outcomes[failed]
        log.warning("partner queue waits", partner=partner_queue.slug, error=type(outcome).__name__)
        if not isinstance(outcome, Unroutable):
            await _note_begun(session, partner_queue.slug, entries[failed].position, last)
        if failed == 0:
            return False
        last = entries[failed - 1].position
    await _note_out(session, partner_queue.slug, AMQP, first, last)
    if replay is not None:
        await _close_gaps(session, partner_queue.slug, first, last, by="replay", sending=replay)
        await _advance_replay(session, replay, last)
    else:
        await _set_delivered_position(session, partner_queue.slug, last)
    return True


async def _set_delivered_position(session: AsyncSession, slug: str, last: int) -> None:
    await session.execute(
        update(partner_queue_table)
        .where(partner_queue_table.c.slug == slug)
        .values(delivered_position=last)
    )


async def _advance_replay(session: AsyncSession, replay: int, last: int) -> None:
    done = feed_replay.c.last_position <= last
    await session.execute(
        update(feed_replay).where(feed_replay.c.replay_id == replay).values(next_position=last + 1)
    )
    await session.execute(
        update(feed_replay)
        .where(feed_replay.c.replay_id == replay, done)
        .values(done_at=func.clock_timestamp())
    )


async def record_page_read(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """A page of the HTTP feed went out; gaps of the queue that it covers are closed by that."""
    await _note_out(session, slug, FEED, first, last)
    await _close_gaps(session, slug, first, last, by=FEED)


async def _note_begun(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """The queue is sent these; whether they arrive is not known yet."""
    row = insert(feed_delivery).values(**_sending(slug, first, last), unsure=1)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=list(_sending(slug, first, last)),
            set_={"unsure": feed_delivery.c.unsure + 1},
        )
    )


async def _note_answered(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """The broker said of each whether it has it: this sending is not unsure any more."""
    table = feed_delivery.c
    same = and_(*(table[name] == value for name, value in _sending(slug, first, last).items()))
    await session.execute(
        update(feed_delivery).where(same, table.unsure > 0).values(unsure=table.unsure - 1)
    )
    await session.execute(delete(feed_delivery).where(same, table.times == 0, table.unsure == 0))


def _sending(slug: str, first: int, last: int) -> dict[str, Any]:
    return {"slug": slug, "channel": AMQP, "first_position": first, "last_position": last}


_OUT = text(
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


async def _note_out(session: AsyncSession, slug: str, channel: str, first: int, last: int) -> None:
    """These are known to have gone out by this channel, once more."""
    firsts, lasts = zip(*blocks(first, last), strict=True)
    await session.execute(
        _OUT, {"slug": slug, "channel": channel, "firsts": list(firsts), "lasts": list(lasts)}
    )


async def _close_gaps(
    session: AsyncSession, slug: str, first: int, last: int, *, by: str, sending: int | None = None
) -> None:
    """Gaps whose entries went out again; one that this very copy left open stays so."""
    gap = feed_gap.c
    closing = update(feed_gap).where(
        gap.slug == slug, gap.position.between(first, last), gap.closed_at.is_(None)
    )
    if sending is not None:
        closing = closing.where(gap.sending < sending)
    await session.execute(closing.values(closed_at=func.clock_timestamp(), closed_by=by))


def partner_message(entry: AnyRow, user: str, replay: int | None = None) -> Message:
    """The entry as a CloudEvent with its number in the feed as `sequence`."""
    again = {} if replay is None else {REPLAY_HEADER: str(replay)}
    return wire.message(
        event_id=entry.event_id,
        topic=entry.topic,
        occurred_at=entry.occurred_at,
        body=entry.body,
        headers={**entry.headers, "cloudEvents_sequence": str(entry.position), **again},
        service="notifications",
        user=user,
    )
