"""The table of ideas, mapped onto the domain class."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Enum,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry

from shared.messaging.tables import NAMING

from .domain import Idea, IdeaContent, State

metadata = MetaData(naming_convention=NAMING)


class ContentJson(TypeDecorator[IdeaContent]):
    """The author's text and figures as one JSON value: a new field needs no new column."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: IdeaContent | None, dialect: Dialect) -> Any:
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> IdeaContent | None:
        return None if value is None else IdeaContent.model_validate(value)


ideas = Table(
    "ideas",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The order of lists: later ideas have higher numbers.
    Column("number", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("author_id", Uuid, nullable=False, index=True),
    Column("on_behalf_of", Uuid, index=True),
    Column("idempotency_key", Uuid),
    Column(
        "state",
        Enum(
            State,
            name="state",
            native_enum=False,
            create_constraint=True,
            values_callable=lambda states: [state.value for state in states],
        ),
        nullable=False,
    ),
    Column("version", Integer, nullable=False),
    Column("content", ContentJson, nullable=False),
    Column("words", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("published_at", DateTime(timezone=True)),
    Column("returned_because", Text),
    UniqueConstraint("author_id", "idempotency_key"),
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
