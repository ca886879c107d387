"""Tables of partners, subscriptions, feeds, partner queues and gaps."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from notifications.tables import mapper, metadata, moment
from shared.kernel.data.columns import choice

from .domain.partner_queue import PartnerQueue, PartnerQueueState

partner = Table(
    "partner",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("name", JSONB),
    Column("kind", Text),
    Column("language", Text, nullable=False, server_default="fr"),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("last_position", BigInteger, nullable=False, server_default=text("0")),
)


subscription = Table(
    "subscription",
    metadata,
    Column("subscription_id", UUID(as_uuid=True), primary_key=True),
    Column("slug", Text, ForeignKey("partner.slug"), nullable=False, index=True),
    Column("filter", JSONB, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    moment("created_at", default=True),
    moment("ended_at", nullable=True),
)


feed_entry = Table(
    "feed_entry",
    metadata,
    Column("slug", Text, ForeignKey("partner.slug"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("topic", Text, nullable=False),
    moment("occurred_at"),
    moment("recorded_at", default=True),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subscriptions", ARRAY(UUID(as_uuid=True)), nullable=False),
    UniqueConstraint("slug", "event_id"),
)


# Events that wait for the release of their fan-out, as they came.
feed_waiting = Table(
    "feed_waiting",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("subject_id", UUID(as_uuid=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("event", JSONB, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    moment("received_at", default=True),
    Index("ix_feed_waiting_subject", "subject_id", "version"),
)


partner_queue_table = Table(
    "partner_queue",
    metadata,
    Column("slug", Text, ForeignKey("partner.slug"), primary_key=True),
    Column("queue", Text, nullable=False, unique=True),
    Column("username", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("state", choice(PartnerQueueState), nullable=False),
    Column("delivered_position", BigInteger, nullable=False, server_default=text("0")),
    Column("requested_by", UUID(as_uuid=True), nullable=False),
    moment("authorized_at", nullable=True),
    moment("requested_at", default=True),
    moment("ready_at", nullable=True),
    moment("closing_at", nullable=True),
)


# What went out by a channel, by ranges of positions: `times` for sure, `unsure` begun without a
# known outcome.
feed_delivery = Table(
    "feed_delivery",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("first_position", BigInteger, primary_key=True),
    Column("last_position", BigInteger, primary_key=True),
    Column("times", Integer, nullable=False, server_default=text("0")),
    Column("unsure", Integer, nullable=False, server_default=text("0")),
    moment("first_at", nullable=True),
    moment("last_at", nullable=True),
)


# `sending` is the replay whose copy was dropped, 0 for the first delivery: a later copy that is
# dropped opens the gap again.
feed_gap = Table(
    "feed_gap",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("sending", BigInteger, nullable=False, server_default=text("0")),
    Column("times", Integer, nullable=False, server_default=text("1")),
    moment("noticed_at", default=True),
    moment("closed_at", nullable=True),
    Column("closed_by", Text),
    Index("ix_feed_gap_open", "slug", "position", postgresql_where=text("closed_at IS NULL")),
)


feed_replay = Table(
    "feed_replay",
    metadata,
    Column("replay_id", BigInteger, Identity(always=True), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("next_position", BigInteger, nullable=False),
    moment("requested_at", default=True),
    moment("done_at", nullable=True),
    Index("ix_feed_replay_waiting", "slug", unique=True, postgresql_where=text("done_at IS NULL")),
)


FEED_CHANNEL = "taawon_feed"
"""A trigger on `feed_entry` notifies this PostgreSQL channel at commit."""
PARTNER_QUEUE_CHANNEL = "taawon_partner_queues"
"""Triggers on `partner_queue` and `feed_replay` notify this PostgreSQL channel at commit."""


mapper.map_imperatively(PartnerQueue, partner_queue_table)
