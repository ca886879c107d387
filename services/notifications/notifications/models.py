"""Tables of notifications. Facts of criteria have the names of `Facts`, so that SQL finds them."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import registry

from shared.messaging.tables import NAMING

from .domain import (
    ApprovalState,
    Door,
    DoorState,
    FanoutApproval,
    Subject,
    SubjectState,
)

metadata = MetaData(naming_convention=NAMING)
mapper = registry(metadata=metadata)

FACT_COLUMNS: tuple[tuple[str, type], ...] = (
    ("applicant_type", Text),
    ("legal_status", Text),
    ("activity_status", Text),
    ("region", Text),
    ("province", Text),
    ("commune", Text),
    ("sector", Text),
    ("branch", Text),
    ("members_total", Integer),
    ("members_women", Integer),
    ("members_youth", Integer),
    ("members_women_or_youth", Integer),
    ("created_on", Date),
)


def _choice(kind: type[StrEnum]) -> Enum:
    """A text column that holds the values of an enumeration."""
    return Enum(
        kind, native_enum=False, length=12, values_callable=lambda e: [item.value for item in e]
    )


def _moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=func.now() if default else None,
    )


def _fact_columns() -> list[Column[object]]:
    return [Column(name, kind) for name, kind in FACT_COLUMNS]


audience = Table(
    "audience",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name_fr", Text),
    Column("name_ar", Text),
    Column("language", Text, nullable=False),
    *_fact_columns(),
    Column("contact_sealed", Text),
    _moment("updated_at", default=True),
    Index("ix_audience_province", "province"),
    Index("ix_audience_region_sector", "region", "sector"),
    Index("ix_audience_sector", "sector"),
)

audience_history = Table(
    "audience_history",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, primary_key=True),
    *_fact_columns(),
    _moment("valid_from", default=True),
    _moment("valid_to", nullable=True),
)

# Only ever added to and taken from: a change that comes while another of the same cooperative is
# worked on has a row of its own, so it can't be lost with that one.
audience_change = Table(
    "audience_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("cooperatives", ARRAY(UUID(as_uuid=True)), nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("service", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", _choice(SubjectState), nullable=False),
    Column("content", JSONB, nullable=False),
    Column("reference_on", Date, nullable=False),
    _moment("closes_at", nullable=True),
    Column("notified_version", Integer),
    _moment("fanned_out_at", nullable=True),
    Column("eligible", Integer, nullable=False, server_default=text("0")),
    Column("unknown", Integer, nullable=False, server_default=text("0")),
    Column("alerted", Integer, nullable=False, server_default=text("0")),
    Column("missed_matches", Boolean, nullable=False, server_default=text("false")),
)

subject_history = Table(
    "subject_history",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content", JSONB, nullable=False),
    Column("reference_on", Date, nullable=False),
    Column("reason", Text),
    _moment("heard_at", default=True),
)

alert = Table(
    "alert",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("edition", Integer, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_version", Integer, nullable=False),
    Column("audience_version", Integer, nullable=False),
    Column("eligible_tracks", Integer, nullable=False),
    Column("unknown_tracks", Integer, nullable=False),
    Column("unknown_fields", Integer, nullable=False),
    _moment("created_at", default=True),
    Index("ix_alert_inbox", "cooperative_id", "seq"),
)

alert_state = Table(
    "alert_state",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("account_id", UUID(as_uuid=True), primary_key=True),
    Column("state", Text, nullable=False),
    _moment("changed_at", default=True),
)

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
    _moment("created_at", default=True),
    _moment("ended_at", nullable=True),
)

feed_entry = Table(
    "feed_entry",
    metadata,
    Column("slug", Text, ForeignKey("partner.slug"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("topic", Text, nullable=False),
    _moment("occurred_at"),
    _moment("recorded_at", default=True),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subscriptions", ARRAY(UUID(as_uuid=True)), nullable=False),
    UniqueConstraint("slug", "event_id"),
)

amqp_door = Table(
    "amqp_door",
    metadata,
    Column("slug", Text, ForeignKey("partner.slug"), primary_key=True),
    Column("queue", Text, nullable=False, unique=True),
    Column("username", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("state", _choice(DoorState), nullable=False),
    Column("delivered_position", BigInteger, nullable=False, server_default=text("0")),
    _moment("requested_at", default=True),
    _moment("ready_at", nullable=True),
)

fanout_approval = Table(
    "fanout_approval",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("state", _choice(ApprovalState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", UUID(as_uuid=True)),
    _moment("decided_at", default=True),
)

fanout_approval_decision = Table(
    "fanout_approval_decision",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("subject_id", UUID(as_uuid=True), nullable=False),
    Column("state", _choice(ApprovalState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", UUID(as_uuid=True)),
    _moment("decided_at", default=True),
    Index("ix_fanout_approval_decision_subject", "subject_id", "seq"),
)

# What went out through a door, by ranges: `times` confirmed, `unsure` begun and not known.
feed_delivery = Table(
    "feed_delivery",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    Column("first_position", BigInteger, primary_key=True),
    Column("last_position", BigInteger, primary_key=True),
    Column("times", Integer, nullable=False, server_default=text("0")),
    Column("unsure", Integer, nullable=False, server_default=text("0")),
    _moment("first_at", nullable=True),
    _moment("last_at", nullable=True),
)

# `sending` is the replay whose copy was dropped, 0 for the first: a later one opens the gap anew.
feed_gap = Table(
    "feed_gap",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("sending", BigInteger, nullable=False, server_default=text("0")),
    Column("times", Integer, nullable=False, server_default=text("1")),
    _moment("noticed_at", default=True),
    _moment("closed_at", nullable=True),
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
    _moment("asked_at", default=True),
    _moment("done_at", nullable=True),
    Index("ix_feed_replay_waiting", "slug", unique=True, postgresql_where=text("done_at IS NULL")),
)

FEED_CHANNEL = "taawon_feed"
DOOR_CHANNEL = "taawon_doors"
CHANGE_CHANNEL = "taawon_audience"

WAKE_SQL = (
    f"""CREATE FUNCTION feed_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('{FEED_CHANNEL}', ''); RETURN NULL; END $$""",
    """CREATE TRIGGER feed_notify AFTER INSERT ON feed_entry
FOR EACH STATEMENT EXECUTE FUNCTION feed_notify()""",
    f"""CREATE FUNCTION door_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('{DOOR_CHANNEL}', ''); RETURN NULL; END $$""",
    """CREATE TRIGGER door_notify AFTER INSERT OR UPDATE OF state, password_hash ON amqp_door
FOR EACH STATEMENT EXECUTE FUNCTION door_notify()""",
)
"""Wakes the delivery of feeds and the provisioner at commit; a migration runs it."""

CHANGE_SQL = (
    f"""CREATE FUNCTION audience_change_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('{CHANGE_CHANNEL}', ''); RETURN NULL; END $$""",
    """CREATE TRIGGER audience_change_notify AFTER INSERT ON audience_change
FOR EACH STATEMENT EXECUTE FUNCTION audience_change_notify()""",
)
"""Wakes the backfill at commit; a migration runs it."""

mapper.map_imperatively(Subject, subject)
mapper.map_imperatively(Door, amqp_door)
mapper.map_imperatively(FanoutApproval, fanout_approval)
