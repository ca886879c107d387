"""The tables of the registry."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.domain import Ground, ImportState, KeyState, RequestKind, RequestState
from shared.columns import choice
from shared.messaging.tables import NAMING

metadata = MetaData(naming_convention=NAMING)


cooperative = Table(
    "cooperative",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("court_key", Text, nullable=False),
    Column("register_key", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("search_key", Text, nullable=False),
    Column("court", Text, nullable=False),
    Column("local_register_no", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("province", Text, nullable=False),
    Column("name_fr", Text),
    Column("name_ar", Text),
    Column("ice", Text),
    Column("applicant_type", Text, nullable=False),
    Column("governance", Text),
    Column("legal_status", Text, nullable=False),
    Column("activity_status", Text),
    Column("created_on", Date),
    Column("commune", Text),
    Column("sector", Text),
    Column("branch", Text),
    Column("members_total", Integer),
    Column("members_women", Integer),
    Column("members_youth", Integer),
    Column("members_women_or_youth", Integer),
    Column("capital_centimes", BigInteger),
    Column("language", Text, nullable=False),
    Column("consent_source", Text),
    Column("is_test_data", Boolean, nullable=False),
    Column("contact_sealed", Text),
    Column("contact_mark", Text),
    Column("source", Text, nullable=False),
    Column("as_of_on", Date, nullable=False),
    Column("provenance", JSONB, nullable=False, server_default=text("'{}'")),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("contact_settled_at", DateTime(timezone=True)),
    Column("import_id", PgUUID),
    UniqueConstraint("court_key", "register_key"),
    CheckConstraint("version >= 1", name="version"),
    Index("ix_cooperative_region", "region", "id"),
    Index("ix_cooperative_province", "province", "id"),
    Index("ix_cooperative_sector", "sector", "id"),
    # Most are registered: only the others are worth an index.
    Index(
        "ix_cooperative_legal_status",
        "legal_status",
        "id",
        postgresql_where=text("legal_status <> 'registered'"),
    ),
    Index("ix_cooperative_activity_status", "activity_status", "id"),
    Index(
        "ix_cooperative_search",
        "search_key",
        postgresql_using="gin",
        postgresql_ops={"search_key": "gin_trgm_ops"},
    ),
)

partner = Table(
    "partner",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name_fr", Text, nullable=False),
    Column("name_ar", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text, nullable=False),
)

api_client = Table(
    "api_client",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("partner_id", ForeignKey("partner.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("secret_digest", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)

account = Table(
    "account",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("email_sealed", Text, nullable=False),
    Column("email_mark", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("provinces", ARRAY(Text), nullable=False),
    Column("cooperatives", ARRAY(PgUUID), nullable=False),
    Column("partner", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
)

linked_identity = Table(
    "linked_identity",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("subject_sealed", Text, nullable=False),
    Column("subject_mark", Text, nullable=False, unique=True),
    Column("linked_at", DateTime(timezone=True), nullable=False),
)

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("email_mark", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=text("''")),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_sign_in_failure_email_mark", "email_mark", "at"),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("public_jwk", JSONB, nullable=False),
    Column("private_sealed", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("state", choice(KeyState), nullable=False),
    Column("retired_at", DateTime(timezone=True)),
    # One signs at a time, whoever starts first.
    Index(
        "uq_signing_key_active",
        "state",
        unique=True,
        postgresql_where=text("state = 'active'"),
    ),
)

register_import = Table(
    "register_import",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("state", choice(ImportState), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("rows_read", Integer, nullable=False),
    Column("rows_added", Integer, nullable=False),
    Column("rows_changed", Integer, nullable=False),
    Column("rows_unchanged", Integer, nullable=False),
    Column("rows_refused", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("refusal", Text),
    Column("problems", JSONB, nullable=False),
)

person_request = Table(
    "person_request",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("kind", choice(RequestKind, "kind"), nullable=False),
    Column("state", choice(RequestState), nullable=False),
    Column("ground", choice(Ground, "ground"), nullable=False),
    Column("reference", Text, nullable=False),
    Column("opened_by", PgUUID, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("completed_at", DateTime(timezone=True)),
    Column("cooperative_ids", ARRAY(PgUUID), nullable=False),
    Column("account_ids", ARRAY(PgUUID), nullable=False),
    Column("waiting_for", ARRAY(Text), nullable=False),
    Index("ix_person_request_due", "due_on", "id", postgresql_where=text("state <> 'completed'")),
)

person_answer = Table(
    "person_answer",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("request_id", ForeignKey("person_request.id"), nullable=False),
    Column("service", Text, nullable=False),
    Column("answered_at", DateTime(timezone=True), nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("actions", JSONB, nullable=False),
    Column("records", JSONB, nullable=False, server_default=text("'[]'")),
    Column("report_sealed", Text),
    UniqueConstraint("request_id", "service"),
)
