"""Partners, their subscriptions, and the one numbered feed of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import orjson
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import LargeBinary, Text

from notifications.fanout.subject_events import CallEvent, IdeaEvent
from shared.contracts.registry import PartnerRegistered
from shared.errors import Conflict, Forbidden, NotFound
from shared.kernel import context
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit

from ..domain.subscriptions import SubscriptionFilter, filter_values_of, refuse_unmatchable
from ..models import partner, subscription

MOST_SUBSCRIPTIONS: Final = 50
"""Most active subscriptions of one partner: each event is compared with every subscription."""


class NotAPartner(Forbidden):
    """This is for partner institutions: sign in with a partner's client credentials."""


class NoSuchSubscription(NotFound):
    """Your institution has no such subscription."""


class TooManySubscriptions(Conflict):
    """Your institution has as many subscriptions as one may have.

    End one with DELETE /subscriptions/{subscription_id}, or let one filter name more.
    """


async def store_partner(session: AsyncSession, event: PartnerRegistered) -> None:
    """Keep the newest name of an institution."""
    values = {
        "slug": event.slug,
        "name": event.name.model_dump(),
        "kind": event.kind,
        "language": event.language,
        "version": event.aggregate_version,
    }
    statement = insert(partner).values(values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["slug"],
            set_={name: statement.excluded[name] for name in values if name != "slug"},
            where=partner.c.version < statement.excluded.version,
        )
    )


def partner_of(caller: Principal) -> str:
    """The slug of the institution that the caller acts for; raises `NotAPartner` for others."""
    if Role.PARTNER not in caller.roles or caller.partner is None:
        raise NotAPartner
    return caller.partner


async def subscribe(session: AsyncSession, caller: Principal, wanted: SubscriptionFilter) -> UUID:
    """From the commit on, events that the filter accepts are numbered into the partner's feed.

    Raises `TooManySubscriptions` above `MOST_SUBSCRIPTIONS` active ones, and `Invalid` for event
    types and codes that nothing could ever match.
    """
    slug = partner_of(caller)
    refuse_unmatchable(wanted)
    await lock_partner(session, slug)
    await _refuse_too_many(session, slug)
    subscription_id = uuid4()
    await session.execute(
        insert(subscription).values(
            subscription_id=subscription_id, slug=slug, filter=wanted.model_dump(mode="json")
        )
    )
    audit.record(
        session,
        caller,
        action="partner subscribed",
        subject_id=subscription_id,
        after=wanted.model_dump(mode="json"),
    )
    return subscription_id


async def lock_partner(session: AsyncSession, slug: str) -> None:
    """Hold the row of the partner until the transaction ends, so that what is made for it is made
    by one after the other.

    It is added where it is missing: a token proves that the institution exists, even where its
    registration has not arrived.
    """
    await session.execute(insert(partner).values(slug=slug).on_conflict_do_nothing())
    await session.execute(select(partner.c.slug).where(partner.c.slug == slug).with_for_update())


async def _refuse_too_many(session: AsyncSession, slug: str) -> None:
    mine = (subscription.c.slug == slug, subscription.c.is_active)
    active = await session.scalar(select(func.count()).select_from(subscription).where(*mine))
    if (active or 0) >= MOST_SUBSCRIPTIONS:
        raise TooManySubscriptions


async def end_subscription(session: AsyncSession, caller: Principal, subscription_id: UUID) -> None:
    """From the commit on, this subscription adds nothing to the feed; what the feed holds stays.

    Raises `NoSuchSubscription` where the partner has no such active subscription.
    """
    ended = await session.scalar(
        update(subscription)
        .where(
            subscription.c.subscription_id == subscription_id,
            subscription.c.slug == partner_of(caller),
            subscription.c.is_active,
        )
        .values(is_active=False, ended_at=func.now())
        .returning(subscription.c.subscription_id)
    )
    if ended is None:
        raise NoSuchSubscription
    audit.record(session, caller, action="subscription ended", subject_id=subscription_id)


# Partners' rows are locked, in the order of slugs, before their entries are numbered: so numbers
# follow the order of commits, and a reader who has seen n has seen everything before n.
_RECORD = text(
    """
WITH locked AS (
    SELECT slug, last_position + 1 AS position FROM partner
    WHERE slug = ANY(:slugs) ORDER BY slug FOR UPDATE
), fresh AS (
    SELECT l.slug, l.position FROM locked l
    WHERE NOT EXISTS (
        SELECT FROM feed_entry e WHERE e.slug = l.slug AND e.event_id = :event_id)
), numbered AS (
    UPDATE partner p SET last_position = f.position FROM fresh f WHERE p.slug = f.slug
)
INSERT INTO feed_entry
    (slug, position, event_id, topic, occurred_at, headers, body, subscriptions)
SELECT f.slug, f.position, :event_id, :topic, :occurred_at, :headers, :body,
    ARRAY(SELECT s.subscription_id FROM subscription s
          WHERE s.slug = f.slug AND s.subscription_id = ANY(:subscriptions))
FROM fresh f
"""
).bindparams(
    bindparam("slugs", type_=ARRAY(Text)),
    bindparam("event_id", type_=PgUUID(as_uuid=True)),
    bindparam("subscriptions", type_=ARRAY(PgUUID(as_uuid=True))),
    bindparam("headers", type_=JSONB),
    bindparam("body", type_=LargeBinary),
)


async def feed_partners(session: AsyncSession, event: CallEvent | IdeaEvent) -> None:
    """Number the event into the feed of every partner whose subscriptions accept it, once each.

    Partners see public fields only.
    """
    accepting = await _accepting(session, event)
    if not accepting:
        return
    work = context.current()
    await session.execute(
        _RECORD,
        {
            "slugs": sorted({slug for _, slug in accepting}),
            "subscriptions": [subscription_id for subscription_id, _ in accepting],
            "event_id": event.event_id,
            "topic": event.topic,
            "occurred_at": event.occurred_at,
            "headers": {
                "cloudEvents_correlationid": work.correlation_id,
                "traceparent": work.traceparent,
            },
            "body": orjson.dumps(event.public_data()),
        },
    )


async def _accepting(session: AsyncSession, event: CallEvent | IdeaEvent) -> list[tuple[UUID, str]]:
    """The active subscriptions whose filters accept the event, each with its partner's slug."""
    values = filter_values_of(event)
    rows = await session.execute(
        select(subscription.c.subscription_id, subscription.c.slug, subscription.c.filter).where(
            subscription.c.is_active
        )
    )
    return [
        (row.subscription_id, row.slug)
        for row in rows
        if SubscriptionFilter.model_validate(row.filter).accepts(values)
    ]


TRIMMED_AT_ONCE = 1000
"""Most entries of one feed that one transaction deletes."""

# Only from the beginning up to the first entry that is young enough: a feed never gets a hole.
_TRIM = text(
    """
DELETE FROM feed_entry e USING (
    SELECT p.slug, oldest.upto FROM partner p CROSS JOIN LATERAL (
        SELECT max(position) AS upto FROM (
            SELECT position, bool_and(recorded_at < now() - make_interval(days => :days))
                OVER (ORDER BY position) AS is_old
            FROM (SELECT position, recorded_at FROM feed_entry
                  WHERE slug = p.slug ORDER BY position LIMIT :most) AS first
        ) AS judged WHERE is_old
    ) AS oldest WHERE oldest.upto IS NOT NULL
) AS trimmed
WHERE e.slug = trimmed.slug AND e.position <= trimmed.upto
"""
)


# Deliveries and finished replays are deleted with their entries; gaps only some time after they
# were noticed.
_DELETE_OLD = tuple(
    text(
        f"""
DELETE FROM {table} n USING partner p
WHERE n.slug = p.slug AND {condition} AND n.{last} < coalesce(
    (SELECT min(e.position) FROM feed_entry e WHERE e.slug = p.slug), p.last_position + 1)
"""
    )
    for table, last, condition in (
        ("feed_delivery", "last_position", "true"),
        ("feed_replay", "last_position", "n.done_at IS NOT NULL"),
        ("feed_gap", "position", "n.noticed_at < now() - CAST(:shown AS interval)"),
    )
)
GAP_SHOWN = timedelta(days=7)
"""How long a gap is kept at least after its entries are gone and it can't be closed any more."""


async def trim_feeds(session: AsyncSession, *, days: int) -> int:
    """Delete the oldest entries of each feed that are older than `days`; how many were deleted.

    It deletes at most `TRIMMED_AT_ONCE` entries of a feed; the caller repeats it until it is 0.
    """
    gone = await session.execute(_TRIM, {"days": days, "most": TRIMMED_AT_ONCE})
    for statement in _DELETE_OLD:
        await session.execute(statement, {"shown": GAP_SHOWN})
    return int(gone.rowcount)  # type: ignore[attr-defined]  # a cursor result, being a delete
