"""Tables of subjects, alerts and fan-out approvals."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    FromClause,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    cast,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from notifications.tables import mapper, metadata, moment
from shared.kernel.data.columns import choice

from .domain.fanout_approval import ApprovalState, FanoutApproval
from .domain.subjects import Subject, SubjectState

subject = Table(
    "subject",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("service", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", choice(SubjectState), nullable=False),
    Column("content", JSONB, nullable=False),
    Column("reference_on", Date, nullable=False),
    moment("closes_at", nullable=True),
    Column("notified_version", Integer),
    moment("fanned_out_at", nullable=True),
    Column("eligible", Integer, nullable=False, server_default=text("0")),
    Column("unknown", Integer, nullable=False, server_default=text("0")),
    Column("alerted", Integer, nullable=False, server_default=text("0")),
    Column("addressed_to", UUID(as_uuid=True)),
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
    moment("received_at", default=True),
)


def stored_content(history: FromClause) -> ColumnElement[str]:
    """The column `content` of `subject_history` or an alias of it, as the text that `read_content`
    takes: what it has seen before is not decoded again.
    """
    return cast(history.c.content, Text).label("content")


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
    moment("created_at", default=True),
    Index("ix_alert_inbox", "cooperative_id", "seq"),
)


fanout_approval = Table(
    "fanout_approval",
    metadata,
    Column("subject_id", UUID(as_uuid=True), primary_key=True),
    Column("state", choice(ApprovalState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", UUID(as_uuid=True)),
    moment("decided_at", default=True),
    Column("version", Integer, nullable=False),
)


fanout_approval_decision = Table(
    "fanout_approval_decision",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("subject_id", UUID(as_uuid=True), nullable=False),
    Column("state", choice(ApprovalState), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", UUID(as_uuid=True)),
    moment("decided_at", default=True),
    Index("ix_fanout_approval_decision_subject", "subject_id", "seq"),
)


mapper.map_imperatively(Subject, subject)


mapper.map_imperatively(FanoutApproval, fanout_approval)
