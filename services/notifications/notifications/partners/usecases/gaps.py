"""What a partner's queue dropped: stored as gaps, and replayed to the queue on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import BigInteger, Text

from shared.contracts.registry import partner_id_of
from shared.errors import Conflict, Invalid, NotFound
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.sentences import Sentence

from ..domain.partner_queue import PartnerQueueState
from ..models import feed_entry, feed_replay, partner_queue_table
from .feed_delivery import REPLAY_HEADER
from .partners import partner_of

REASONS = {"maxlen", "expired", "rejected", "delivery_limit"}
"""Why RabbitMQ dead-letters a message, as it writes it into the header `x-death`."""


class NoQueueYet(NotFound):
    """Your institution has no queue that is ready: ask for one with POST /partner-queue."""


class NotSentYet(Invalid):
    """That position has not been sent to your queue yet: it will come by itself."""


class NoLongerKept(Invalid):
    """The feed holds nothing at these positions any more: ask for later ones."""


class BeingSentAgain(Conflict):
    """What you asked for before is still being sent again: wait until it is done."""


@dataclass(frozen=True)
class Drop:
    """One message that a partner's queue dropped; `sending` is the replay that sent it, else 0."""

    queue: str
    position: int
    reason: str
    sending: int

    @classmethod
    def read(cls, headers: Mapping[str, Any]) -> Drop | None:
        """From the headers of a dead-lettered message; None where they name no queue or
        position."""
        deaths = headers.get("x-death")
        if not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], Mapping):
            return None
        queue, reason = deaths[0].get("queue"), deaths[0].get("reason")
        position = str(headers.get("cloudEvents_sequence", ""))
        sending = str(headers.get(REPLAY_HEADER, "0"))
        if not (isinstance(queue, str) and position.isdigit() and sending.isdigit()):
            return None
        kept_reason = reason if reason in REASONS else "unknown"
        return cls(queue, int(position), kept_reason, int(sending))


# A repeated message changes nothing; only a drop of a later copy opens a closed gap again. Entries
# that went out again after the dropped copy, or were read in the feed, are not lost: their gap is
# closed from the start.
_STORE = text(
    """
INSERT INTO feed_gap (slug, position, reason, sending, noticed_at, closed_at, closed_by)
SELECT DISTINCT ON (d.slug, r.position) d.slug, r.position, r.reason, r.sending,
       clock_timestamp(), CASE WHEN c.by IS NOT NULL THEN clock_timestamp() END, c.by
FROM unnest(:queues, :positions, :reasons, :sendings) AS r(queue, position, reason, sending)
JOIN partner_queue d ON d.queue = r.queue
CROSS JOIN LATERAL (SELECT CASE
    WHEN EXISTS (SELECT FROM feed_replay s WHERE s.slug = d.slug AND s.replay_id > r.sending
                 AND r.position >= s.first_position AND r.position < s.next_position) THEN 'replay'
    WHEN EXISTS (SELECT FROM feed_delivery f WHERE f.slug = d.slug AND f.channel = 'feed'
                 AND f.first_position BETWEEN r.position - 999 AND r.position
                 AND f.last_position >= r.position) THEN 'feed'
    END AS by) c
ORDER BY d.slug, r.position, r.sending DESC
ON CONFLICT (slug, position) DO UPDATE SET
    reason = excluded.reason, sending = excluded.sending, times = feed_gap.times + 1,
    noticed_at = excluded.noticed_at, closed_at = excluded.closed_at,
    closed_by = excluded.closed_by
WHERE feed_gap.sending < excluded.sending
"""
).bindparams(
    bindparam("queues", type_=ARRAY(Text)),
    bindparam("positions", type_=ARRAY(BigInteger)),
    bindparam("reasons", type_=ARRAY(Text)),
    bindparam("sendings", type_=ARRAY(BigInteger)),
)


async def store_gaps(session: AsyncSession, drops: Sequence[Drop]) -> None:
    """Store one gap for each position that a partner's queue dropped.

    It waits for a delivery to the same queue, so that each sees what the other has done.
    """
    if not drops:
        return
    await session.execute(
        select(partner_queue_table.c.slug)
        .where(partner_queue_table.c.queue.in_({drop.queue for drop in drops}))
        .order_by(partner_queue_table.c.slug)
        .with_for_update(read=True)
    )
    await session.execute(
        _STORE,
        {
            "queues": [drop.queue for drop in drops],
            "positions": [drop.position for drop in drops],
            "reasons": [drop.reason for drop in drops],
            "sendings": [drop.sending for drop in drops],
        },
    )


@dataclass(frozen=True)
class Replay:
    """Positions, both included, that go to the partner's queue again."""

    replay_id: int
    first: int
    last: int


async def request_replay(
    session: AsyncSession, caller: Principal, *, first: int, last: int | None
) -> Replay:
    """Send positions of the feed to the partner's own queue again, under the same event ids.

    Without `last`, or with a later one, all up to the newest that was sent. Raises `NoQueueYet`,
    `NotSentYet`, `Invalid` or `NoLongerKept` for what cannot be sent, and `BeingSentAgain` while a
    replay of the partner is under way.
    """
    slug = partner_of(caller)
    delivered = await _lock_delivered_position(session, slug)
    if first > delivered:
        raise NotSentYet(field="first")
    until = min(last or delivered, delivered)
    if until < first:
        raise Invalid(
            Sentence("`last` is {last}: give one that is not before `first`", last=last),
            field="last",
        )
    await _require_kept(session, slug, first, until)
    replay_id = await session.scalar(
        insert(feed_replay)
        .values(slug=slug, first_position=first, last_position=until, next_position=first)
        .on_conflict_do_nothing()
        .returning(feed_replay.c.replay_id)
    )
    if replay_id is None:
        raise BeingSentAgain
    audit.record(
        session,
        caller,
        action="entries to be sent again",
        subject_id=partner_id_of(slug),
        after={"partner": slug, "first": first, "last": until},
    )
    return Replay(replay_id, first, until)


async def _lock_delivered_position(session: AsyncSession, slug: str) -> int:
    """The newest position that was sent to the partner's queue, which stays locked."""
    delivered = await session.scalar(
        select(partner_queue_table.c.delivered_position)
        .where(
            partner_queue_table.c.slug == slug,
            partner_queue_table.c.state == PartnerQueueState.READY,
        )
        .with_for_update()
    )
    if delivered is None:
        raise NoQueueYet
    return int(delivered)


async def _require_kept(session: AsyncSession, slug: str, first: int, last: int) -> None:
    """Refuse a range of which the feed holds nothing any more."""
    kept = await session.scalar(
        select(func.count())
        .select_from(feed_entry)
        .where(feed_entry.c.slug == slug, feed_entry.c.position.between(first, last))
    )
    if not kept:
        raise NoLongerKept(field="first")
