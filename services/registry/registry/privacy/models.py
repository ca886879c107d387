"""Tables of requests of persons and of what services answered."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.tables import mapper, metadata
from shared.kernel.data.columns import ModelJson, choice

from .domain.found_records import FoundRecords
from .domain.requests import Ground, PersonRequest, RequestKind, RequestState

person_request = Table(
    "person_request",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("kind", choice(RequestKind, "kind"), nullable=False),
    Column("state", choice(RequestState), nullable=False),
    Column("ground", choice(Ground, "ground"), nullable=False),
    Column("reference", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("records", ModelJson(FoundRecords), nullable=False),
    Column("proposal_sealed", Text),
    Column("proposed_by", PgUUID, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("opened_by", PgUUID),
    Column("opened_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    Column("cooperative_ids", ARRAY(PgUUID), nullable=False),
    Column("account_ids", ARRAY(PgUUID), nullable=False),
    Column("waiting_for", ARRAY(Text), nullable=False),
    Index(
        "ix_person_request_due",
        "due_on",
        "id",
        postgresql_where=text("state NOT IN ('completed', 'dropped', 'expired')"),
    ),
)


person_response = Table(
    "person_response",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("request_id", ForeignKey("person_request.id"), nullable=False),
    Column("service", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("answered_at", DateTime(timezone=True), nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("actions", JSONB, nullable=False),
    Column("records", JSONB, nullable=False, server_default=text("'[]'")),
    Column("report_sealed", Text),
    # Parts of two answers that are divided differently are never mixed.
    UniqueConstraint("request_id", "service", "parts", "part"),
)

mapper.map_imperatively(
    PersonRequest,
    person_request,
    # The domain counts; the mapper refuses a write on a version that is no longer the stored one.
    version_id_col=person_request.c.version,
    version_id_generator=False,
)
