"""The tables of the register."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.tables import mapper, metadata
from shared.kernel.data.columns import WithSentences, choice

from ..domain.imports import ImportState, RegisterImport

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
    Column("source_import_id", PgUUID),
    UniqueConstraint("court_key", "register_key"),
    CheckConstraint("version >= 1", name="version"),
    Index("ix_cooperative_region", "region", "id"),
    Index("ix_cooperative_province", "province", "id"),
    Index("ix_cooperative_sector", "sector", "id"),
    # Most cooperatives are registered: only the others are worth an index.
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


# By keyed digests: nobody can read from them what was erased.
erased_contact = Table(
    "erased_contact",
    metadata,
    Column("mark", Text, primary_key=True),
    Column(
        "erased_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
        index=True,
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
    Column("refusal", WithSentences),
    Column("problems_total", Integer, nullable=False),
    Column("problems", WithSentences, nullable=False),
)

mapper.map_imperatively(RegisterImport, register_import)
