"""The metrics that are read from the database of notifications; no label names a partner or a
person."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.observability.metrics.scrape import Measure, gauge

from .audience.models import audience
from .fanout.domain.fanout_approval import EVERYTHING, ApprovalState
from .fanout.models import fanout_approval
from .partners.domain.partner_queue import PartnerQueueState
from .partners.models import feed_waiting, partner_queue_table

# The oldest entry that waits for a queue is the one after the last that it was sent.
FEED_LAG = text(
    """
SELECT count(*) AS partner_queues, coalesce(sum(p.last_position - d.delivered_position), 0) AS
entries,
       coalesce(max(p.last_position - d.delivered_position), 0) AS most,
       coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0) AS oldest
  FROM partner_queue d JOIN partner p USING (slug)
  LEFT JOIN feed_entry e ON e.slug = d.slug AND e.position = d.delivered_position + 1
 WHERE d.state = 'ready' AND d.delivered_position < p.last_position
"""
)
WITHOUT_FANOUT = text(
    """
SELECT count(*) AS subjects FROM subject s
 WHERE s.state = 'open' AND s.notified_version IS NULL
   AND (s.closes_at IS NULL OR s.closes_at > now())
   AND NOT EXISTS (SELECT FROM fanout_approval a WHERE a.state <> 'released'
                      AND a.subject_id IN (s.subject_id, :everything))
"""
)
GAPS = text(
    "SELECT count(*) FROM (SELECT FROM feed_gap WHERE closed_at IS NULL LIMIT 100000) open_gaps"
)
# Counted up to 10,000 notes: beyond that the exact number says no more.
BACKFILL = text(
    """
SELECT coalesce(sum(cardinality(cooperatives)), 0) AS cooperatives
  FROM (SELECT cooperatives FROM audience_change ORDER BY seq LIMIT 10000) waiting
"""
)


async def _audience(session: AsyncSession) -> Iterable[Metric]:
    counted = select(func.count(), func.coalesce(func.sum(audience.c.version), 0))
    records, versions = (await session.execute(counted.select_from(audience))).one()
    return [
        gauge("taawon_audience_cooperatives", "Cooperatives in the audience.", records),
        gauge(
            "taawon_audience_versions",
            "Sum of the versions of all cooperatives in the audience; what it lacks to"
            " taawon_register_versions has not been applied yet.",
            float(versions),
        ),
    ]


async def _backfill(session: AsyncSession) -> Iterable[Metric]:
    found = (await session.execute(BACKFILL)).one()
    help_text = "Changed cooperatives that have not been matched against open subjects yet."
    return [gauge("taawon_backfill_waiting_cooperatives", help_text, float(found.cooperatives))]


async def _feeds(session: AsyncSession) -> Iterable[Metric]:
    found = (await session.execute(FEED_LAG)).one()
    channel = ("amqp",)
    return [
        gauge(
            "taawon_feed_gaps",
            "Entries that partner queues lack: dropped or trimmed, and not sent or read since.",
            float(await session.scalar(GAPS) or 0),
        ),
        gauge(
            "taawon_feed_held_events",
            "Events that partners get once the fan-out of their subject is released.",
            float(await session.scalar(select(func.count()).select_from(feed_waiting)) or 0),
        ),
        gauge(
            "taawon_feed_partner_queues_behind",
            "Partner queues that have not been sent all entries of their feeds.",
            {channel: found.partner_queues},
            ["channel"],
        ),
        gauge(
            "taawon_feed_waiting_entries",
            "Entries of all feeds that have not been sent by this channel yet.",
            {channel: float(found.entries)},
            ["channel"],
        ),
        gauge(
            "taawon_feed_most_waiting_entries",
            "Entries that wait for the partner queue that is furthest behind.",
            {channel: float(found.most)},
            ["channel"],
        ),
        gauge(
            "taawon_feed_oldest_age_seconds",
            "Age in seconds of the oldest entry that waits; 0 where none does.",
            {channel: float(found.oldest)},
            ["channel"],
        ),
    ]


async def _partner_queues(session: AsyncSession) -> Iterable[Metric]:
    states = {(state.value,): 0.0 for state in PartnerQueueState}
    for row in await session.execute(
        select(partner_queue_table.c.state, func.count().label("partner_queues")).group_by(
            partner_queue_table.c.state
        )
    ):
        states[(str(row.state),)] = float(row.partner_queues)
    columns = partner_queue_table.c
    waits_since = case(
        (columns.state == PartnerQueueState.REQUESTED, columns.requested_at),
        (columns.state == PartnerQueueState.CLOSING, columns.closing_at),
    )
    oldest_request = func.min(waits_since)
    age = await session.scalar(
        select(func.coalesce(func.extract("epoch", func.clock_timestamp() - oldest_request), 0))
    )
    return [
        gauge("taawon_partner_queues", "Partner queues by state.", states, ["state"]),
        gauge(
            "taawon_partner_queues_oldest_request_age_seconds",
            "Age in seconds of the oldest request to make or close a partner queue that has not"
            " been done; it grows while no provisioner works.",
            float(age or 0),
        ),
    ]


async def _subjects(session: AsyncSession) -> Iterable[Metric]:
    states = {(state.value,): 0.0 for state in ApprovalState}
    for row in await session.execute(
        select(fanout_approval.c.state, func.count().label("approvals")).group_by(
            fanout_approval.c.state
        )
    ):
        states[(str(row.state),)] = float(row.approvals)
    without_fanout = (await session.execute(WITHOUT_FANOUT, {"everything": EVERYTHING})).one()
    return [
        gauge(
            "taawon_fanout_approvals",
            "Approvals of fan-outs by state, whoever decided them.",
            states,
            ["state"],
        ),
        gauge(
            "taawon_subjects_without_fanout",
            "Open subjects that have not been fanned out though nothing holds them back.",
            without_fanout.subjects,
        ),
    ]


MEASURES = (
    # It reads every row of the audience, so its result is kept longer.
    Measure("audience", _audience, every=30),
    Measure("backfill", _backfill),
    Measure("feeds", _feeds),
    Measure("partner_queues", _partner_queues),
    Measure("subjects", _subjects),
)
