"""The table of partner institutions."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from registry.tables import mapper, metadata

from .domain import Partner

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

mapper.map_imperatively(Partner, partner)
