"""Sending the entries of feeds to partner queues."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aio_pika import Message
from sqlalchemy import and_, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel import failpoints
from shared.kernel.data.database import AnyRow, Sessions
from shared.kernel.messaging import topology, wire
from shared.kernel.messaging.publisher import Outcome, Outgoing, Publisher, Unroutable

from ..domain.partner_queue import PartnerQueueState
from ..models import feed_entry, feed_gap, feed_replay, partner, partner_queue_table
from .delivery_records import close_replayed_gaps, record_attempt, record_outcome, record_sent
from .partner_queue import PARTNER_EXCHANGE

log = structlog.get_logger()

BATCH = 100
"""Most entries that are sent at a time."""
TRIMMED = "trimmed"
"""The reason of a gap whose entries the feed deleted by age before the queue was sent them."""
REPLAY_HEADER = "cloudEvents_replay"
"""Header of a copy that a replay sends: the id of the replay."""


async def deliver_feed(sessions: Sessions, publisher: Publisher) -> bool:
    """Send the next entries of one partner's feed to its queue; whether any were sent or skipped.

    New entries come before those of a replay. A crash between the confirm and the commit sends
    entries again under the same message ids.
    """
    if not await publisher.is_open():
        return False
    async with sessions.begin() as session:
        partner_queue = await _next_partner_queue(session)
        if partner_queue is None:
            return False
        has_new = partner_queue.delivered_position < partner_queue.last_position
        replay = None if has_new else partner_queue.replay_id
        entries = await _entries(session, partner_queue, replay)
        if replay is None:
            if (kept := _oldest(partner_queue, entries)) > partner_queue.delivered_position + 1:
                return await _skip_trimmed(session, partner_queue, kept)
        elif not entries:
            # The feed has been trimmed of all that the replay asked for, so the replay is done.
            await _advance_replay(session, replay, partner_queue.replay_until)
            return True
        await _begin(sessions, partner_queue.slug, entries)
        outcomes = await _send(publisher, partner_queue, replay, entries)
        failpoints.reach("feed.between-confirm-and-mark")
        return await _settle(session, partner_queue, replay, entries, outcomes)


async def _next_partner_queue(session: AsyncSession) -> AnyRow | None:
    """A ready partner queue with something to send, locked; locked ones are skipped."""
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
    """The next new entries; with a replay, the next of those that it sends again."""
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
    """The next position that the feed still has: a feed has no holes, so those before it were
    trimmed."""
    return int(entries[0].position if entries else partner_queue.last_position + 1)


async def _skip_trimmed(session: AsyncSession, partner_queue: AnyRow, kept: int) -> bool:
    """Go on with the oldest entry that is kept; those that were trimmed unsent become gaps."""
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
    """Record the attempt in a transaction of its own, which a crash while sending leaves behind."""
    async with sessions.begin() as session:
        await record_attempt(session, slug, entries[0].position, entries[-1].position)


async def _send(
    publisher: Publisher, partner_queue: AnyRow, replay: int | None, entries: Sequence[AnyRow]
) -> Sequence[Outcome]:
    user = topology.user_of(publisher.url)
    return await publisher.publish(
        [
            Outgoing(partner_message(entry, user, replay), PARTNER_EXCHANGE, partner_queue.queue)
            for entry in entries
        ]
    )


async def _settle(
    session: AsyncSession,
    partner_queue: AnyRow,
    replay: int | None,
    entries: Sequence[AnyRow],
    outcomes: Sequence[Outcome],
) -> bool:
    """Record what the broker confirmed, up to the first entry that it did not; whether any was."""
    first, last = entries[0].position, entries[-1].position
    failed = next((place for place, outcome in enumerate(outcomes) if outcome is not None), None)
    await record_outcome(session, partner_queue.slug, first, last)
    if failed is not None:
        outcome = outcomes[failed]
        log.warning("partner queue waits", partner=partner_queue.slug, error=type(outcome).__name__)
        if not isinstance(outcome, Unroutable):
            await record_attempt(session, partner_queue.slug, entries[failed].position, last)
        if failed == 0:
            return False
        last = entries[failed - 1].position
    await record_sent(session, partner_queue.slug, first, last)
    if replay is not None:
        await close_replayed_gaps(session, partner_queue.slug, first, last, replay=replay)
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


def partner_message(entry: AnyRow, user: str, replay: int | None = None) -> Message:
    """The entry as a CloudEvent, with its position in the feed as `sequence`.

    `user` is the broker user that sends it; a copy that a replay sends names the replay.
    """
    of_replay = {} if replay is None else {REPLAY_HEADER: str(replay)}
    return wire.message(
        event_id=entry.event_id,
        topic=entry.topic,
        occurred_at=entry.occurred_at,
        body=entry.body,
        headers={**entry.headers, "cloudEvents_sequence": str(entry.position), **of_replay},
        service="notifications",
        user=user,
    )
