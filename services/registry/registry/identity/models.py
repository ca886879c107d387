"""Tables of accounts, API clients, identities, failed sign-ins, devices and signing keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.tables import mapper, metadata
from shared.kernel.data.columns import choice

from .domain.accounts import Account, LinkedIdentity
from .domain.api_clients import ApiClient
from .domain.signing_keys import KeyState, SigningKey

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
    Column("version", Integer, nullable=False),
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
    Column("by_stranger", Boolean, nullable=False, server_default=text("false")),
    Column("counts", Boolean, nullable=False, server_default=text("true")),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Index("ix_sign_in_failure_email_mark", "email_mark", "at"),
    Index("ix_sign_in_failure_place", "place", "at"),
)


known_device = Table(
    "known_device",
    metadata,
    Column("id", PgUUID, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_digest", Text, nullable=False, unique=True),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("used_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
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
    # Only one key signs at a time, even if several processes make the first.
    Index(
        "uq_signing_key_active",
        "state",
        unique=True,
        postgresql_where=text("state = 'active'"),
    ),
)

mapper.map_imperatively(ApiClient, api_client)
mapper.map_imperatively(Account, account, version_id_col=account.c.version)
mapper.map_imperatively(LinkedIdentity, linked_identity)
mapper.map_imperatively(SigningKey, signing_key)
