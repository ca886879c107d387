"""What each account did with an alert."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import UUID

from notifications.tables import metadata, moment

alert_state = Table(
    "alert_state",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("account_id", UUID(as_uuid=True), primary_key=True),
    Column("state", Text, nullable=False),
    moment("changed_at", default=True),
    Index("ix_alert_state_page", "cooperative_id", "account_id", "state", "seq"),
)
