"""The table of ideas, mapped onto the domain class."""

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
    false,
    text,
)
from sqlalchemy.orm import registry

from shared.kernel.data.columns import ModelJson, choice
from shared.kernel.data.tables import NAMING

from .domain import Idea, IdeaContent, State

metadata = MetaData(naming_convention=NAMING)


ideas = Table(
    "ideas",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The order of lists: later ideas have higher numbers.
    Column("number", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("author_id", Uuid, nullable=False, index=True),
    Column("on_behalf_of", Uuid, index=True),
    Column("state", choice(State), nullable=False),
    Column("version", Integer, nullable=False),
    Column("was_submitted", Boolean, nullable=False, server_default=false()),
    Column("content", ModelJson(IdeaContent), nullable=False),
    Column("words", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("published_at", DateTime(timezone=True)),
    Column("returned_because", Text),
    Column("confirmed_audience", Integer),
    Index("ix_ideas_published", "number", postgresql_where=text("state = 'published'")),
)

registry(metadata=metadata).map_imperatively(
    Idea,
    ideas,
    exclude_properties=["number"],
    # The domain counts; the mapper refuses a write on a version that is no longer the stored one.
    version_id_col=ideas.c.version,
    version_id_generator=False,
)
