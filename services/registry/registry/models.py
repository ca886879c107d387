"""The registry's tables, and how aggregates are kept in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    func,
    orm,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.domain import (
    Account,
    ApiClient,
    Cooperative,
    Entry,
    Governance,
    ImportState,
    KeyState,
    Partner,
    RegisterImport,
    SealedContact,
    SigningKey,
)
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus
from shared.messaging.tables import NAMING
from shared.reference import fold

metadata = MetaData(naming_convention=NAMING)


def _named(kind: type[ImportState] | type[KeyState]) -> Enum:
    return Enum(
        kind,
        name="state",
        native_enum=False,
        create_constraint=True,
        values_callable=lambda states: [state.value for state in states],
    )


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

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("email_mark", Text, nullable=False),
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
    Column("state", _named(KeyState), nullable=False),
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
    Column("state", _named(ImportState), nullable=False),
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

mapping: Final = orm.registry(metadata=metadata)
mapping.map_imperatively(Partner, partner)
mapping.map_imperatively(ApiClient, api_client)
mapping.map_imperatively(Account, account)
mapping.map_imperatively(SigningKey, signing_key)
mapping.map_imperatively(RegisterImport, register_import)

_ENTRY_FIELDS: Final = tuple(item.name for item in fields(Entry) if item.name != "contact")
_said: Final[Callable[[Entry], tuple[Any, ...]]] = attrgetter(*_ENTRY_FIELDS)


def entry_values(entry: Entry) -> dict[str, Any]:
    """The entry's own columns with those derived from it: region, identity, search, digest."""
    court_key, register_key = entry.identity
    mark = entry.contact.mark if entry.contact else None
    return dict(zip(_ENTRY_FIELDS, _said(entry), strict=True)) | {
        "court_key": court_key,
        "register_key": register_key,
        "region": entry.region,
        "search_key": search_key(entry.name_fr, entry.name_ar),
        "digest": digest_of(entry, mark),
        "contact_sealed": entry.contact.sealed if entry.contact else None,
        "contact_mark": mark,
    }


def digest_of(entry: Entry, contact_mark: str | None) -> str:
    """Equal for entries that say the same; whether a contact changed shows in its mark."""
    said = "\x1f".join(["" if value is None else str(value) for value in _said(entry)])
    return hashlib.sha256(f"{said}\x1f{contact_mark or ''}".encode()).hexdigest()


def search_key(*names: str | None) -> str:
    """Both names without case, accents or letter variants."""
    return " ".join(_folded_word(word) for name in names if name for word in name.split())


@lru_cache(maxsize=65_536)
def _folded_word(word: str) -> str:
    return fold(word)


def cooperative_values(aggregate: Cooperative) -> dict[str, Any]:
    """A cooperative as a row."""
    return entry_values(aggregate.entry) | {
        "id": aggregate.id,
        "version": aggregate.version,
        "source": aggregate.source,
        "as_of_on": aggregate.as_of_on,
        "provenance": aggregate.provenance,
    }


def cooperative_from(row: Mapping[str, Any]) -> Cooperative:
    """A row as a cooperative."""
    return Cooperative(
        id=row["id"],
        version=row["version"],
        entry=_entry_from(row),
        source=row["source"],
        as_of_on=row["as_of_on"],
        provenance=row["provenance"],
    )


def _entry_from(row: Mapping[str, Any]) -> Entry:
    values = {name: row[name] for name in _ENTRY_FIELDS}
    contact = None
    if row["contact_sealed"] is not None:
        contact = SealedContact(sealed=row["contact_sealed"], mark=row["contact_mark"])
    values["applicant_type"] = ApplicantType(row["applicant_type"])
    values["legal_status"] = LegalStatus(row["legal_status"])
    for name, kind in (("governance", Governance), ("activity_status", ActivityStatus)):
        values[name] = kind(row[name]) if row[name] is not None else None
    return Entry(**values, contact=contact)


DIGESTS: Final = text(
    """
    SELECT c.court_key, c.register_key, c.digest
    FROM cooperative c
    JOIN unnest(CAST(:court_keys AS text[]), CAST(:register_keys AS text[]))
        AS given (court_key, register_key) USING (court_key, register_key)
    FOR UPDATE OF c
    """
)
"""The digests of known cooperatives among the given identities; their rows are locked."""


_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped upstream


def _upsert() -> TextClause:
    """One statement for a whole batch; a row that says the same is left alone."""
    columns = [
        column for column in cooperative.columns if column.name not in {"provenance", "changed_at"}
    ]
    names = ", ".join(column.name for column in columns)
    typed = ", ".join(f"{column.name} {column.type.compile(_DIALECT)}" for column in columns)
    kept = {"id", "version", "court_key", "register_key"}
    changes = ", ".join(
        f"{column.name} = excluded.{column.name}" for column in columns if column.name not in kept
    )
    # One JSON text rather than an array per column: half the time in the driver.
    return text(
        f"""
        INSERT INTO cooperative ({names})
        SELECT {names} FROM json_to_recordset(CAST(:rows AS json)) AS given ({typed})
        ON CONFLICT (court_key, register_key) DO UPDATE
        SET {changes}, version = cooperative.version + 1, provenance = '{{}}', changed_at = now()
        WHERE cooperative.digest <> excluded.digest
        RETURNING id, version, court_key, register_key
        """
    )


UPSERT: Final = _upsert()
"""Binds the rows as one JSON text; returns those that are new or changed."""
