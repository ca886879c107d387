"""The table of calls, mapped onto the domain class."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry

from shared.kernel.data.columns import ModelJson, choice
from shared.kernel.data.tables import NAMING

from .domain.call import Call, State
from .domain.terms import CallTerms

metadata = MetaData(naming_convention=NAMING)


calls = Table(
    "calls",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The order of lists: later calls have higher numbers.
    Column("number", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("funder_slug", Text, index=True),
    Column("created_by", Uuid, nullable=False),
    Column("state", choice(State), nullable=False),
    Column("version", Integer, nullable=False),
    Column("terms", ModelJson(CallTerms), nullable=False),
    Column("zone", Text, nullable=False),
    Column("closes_at", DateTime(timezone=True)),
    Column("closes_shown", Text),
    Column("closes_shown_ar", Text),
    Column("regions", ARRAY(Text, as_tuple=True), nullable=False),
    Column("sectors", ARRAY(Text, as_tuple=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("opened_at", DateTime(timezone=True)),
    Column("cancelled_because", Text),
    Column("confirmed_audience", Integer),
    Column("partners_at_once", Boolean, nullable=False),
    Index("ix_calls_closing", "closes_at", postgresql_where=text("state = 'open'")),
)

registry(metadata=metadata).map_imperatively(
    Call,
    calls,
    exclude_properties=["number"],
    # The domain counts; the mapper refuses a write on a version that is no longer the stored one.
    version_id_col=calls.c.version,
    version_id_generator=False,
)
