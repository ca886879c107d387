"""The kernel's tables; every service has them in its own database."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .sealed_keys import of_inserted

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Kernel tables only; services have metadata of their own."""

    metadata = MetaData(naming_convention=NAMING)


metadata = Base.metadata


class OutboxRow(Base):
    """An event written with the change that caused it, waiting to be sent or already sent."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("event_id"),
        Index("ix_outbox_pending", "seq", postgresql_where=text("published_at IS NULL")),
        Index("ix_outbox_sealed", "seq", postgresql_where=text("sealed_keys IS NOT NULL")),
    )

    # CACHE 1: numbers handed out to one session in advance would reorder an aggregate's events.
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True, cache=1), primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(PgUUID)
    topic: Mapped[str] = mapped_column(Text)
    aggregate_id: Mapped[uuid.UUID] = mapped_column(PgUUID)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_keys: Mapped[dict[str, int] | None] = mapped_column(
        JSONB(none_as_null=True), default=of_inserted
    )
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    quarantined_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(Text)


class InboxRow(Base):
    """A message that a consumer has finished; written in the transaction of its effect.

    `run` is the replay that sent the event again, or empty: an event is known once per run.
    `source` is the service whose event it is: by its own events, none marks another's as done.
    """

    __tablename__ = "inbox"
    __table_args__ = (Index("ix_inbox_received_at", "received_at"),)

    queue: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(PgUUID, primary_key=True)
    run: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    source: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    received_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )


class DeadLetterRow(Base):
    """A message that a consumer gave up on, kept until a person decides."""

    __tablename__ = "dead_letter"
    __table_args__ = (UniqueConstraint("queue", "message_key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    queue: Mapped[str] = mapped_column(Text)
    message_key: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(Text)
    topic: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_keys: Mapped[dict[str, int] | None] = mapped_column(
        JSONB(none_as_null=True), default=of_inserted
    )
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    error: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default=text("1"))
    first_failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(Text, server_default="dead")
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[str | None] = mapped_column(Text)
    decision_reason: Mapped[str | None] = mapped_column(Text)


class OutboxHorizonRow(Base):
    """Up to when sent events were deleted: events written until then may be missing."""

    __tablename__ = "outbox_horizon"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    deleted_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ReplayRow(Base):
    """A run that replays events to one queue: its request, its progress, its end.

    `position` is where the next page begins; what it contains depends on `kind`.
    """

    __tablename__ = "replay"
    __table_args__ = (
        Index("ix_replay_running", "requested_at", postgresql_where=text("state = 'running'")),
    )

    run: Mapped[uuid.UUID] = mapped_column(PgUUID, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]] = mapped_column(JSONB)
    since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    event_id: Mapped[uuid.UUID | None] = mapped_column(PgUUID)
    position: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    total: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    done: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    sent: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    incomplete: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="running")
    error: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    ended_by: Mapped[str | None] = mapped_column(Text)
    ended_because: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuditRow(Base):
    """Who did what, when, and what it was before and after. Rows are only ever added."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    actor_id: Mapped[uuid.UUID | None] = mapped_column(PgUUID)
    actor_roles: Mapped[list[str]] = mapped_column(JSONB)
    on_behalf_of: Mapped[uuid.UUID | None] = mapped_column(PgUUID)
    action: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[uuid.UUID | None] = mapped_column(PgUUID)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    correlation_id: Mapped[str] = mapped_column(Text)


class RevocationRow(Base):
    """Tokens that were issued to this account or API client before `not_before` are refused."""

    __tablename__ = "revocation"

    subject_id: Mapped[uuid.UUID] = mapped_column(PgUUID, primary_key=True)
    not_before: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class IdempotencyRow(Base):
    """A request that created something, by its caller and the hash of its `Idempotency-Key`.

    `answer` is encrypted with the key; it is NULL once a person's data was erased.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)

    caller: Mapped[uuid.UUID] = mapped_column(PgUUID, primary_key=True)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    route: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


NOTIFY_CHANNEL = "taawon_outbox"

NOTIFY_SQL = f"""
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{NOTIFY_CHANNEL}', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();
"""
"""Wakes the relay at a commit. A migration of each service runs it after making the table."""

REPLAY_CHANNEL = "taawon_replay"

REPLAY_SQL = f"""
CREATE FUNCTION replay_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{REPLAY_CHANNEL}', '');
    RETURN NULL;
END $$;
CREATE TRIGGER replay_notify AFTER INSERT ON replay
    FOR EACH STATEMENT EXECUTE FUNCTION replay_notify();
"""
"""Wakes the job that works off replays, at a commit."""

APPEND_ONLY_SQL = """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never changed or removed';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""
"""Keeps every statement from changing or removing audit rows."""


def statements(script: str) -> list[str]:
    """The statements of one of the scripts above, one by one, as the driver takes them."""
    return [part.rstrip().rstrip(";") for part in re.split(r";\n(?=CREATE TRIGGER)", script)]
