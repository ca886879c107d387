"""Column types that services share."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import Dialect, Enum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from shared.sentences import as_json, from_json

M = TypeVar("M", bound=BaseModel)


def choice(kind: type[StrEnum], name: str = "state") -> Enum:
    """A text column for the values of an enumeration; `name` is part of its constraint's name."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


class ModelJson(TypeDecorator[M], Generic[M]):
    """A model as one JSON value, read and written whole: a new field needs no new column."""

    impl = JSONB
    cache_ok = True

    def __init__(self, model: type[M]) -> None:
        super().__init__()
        self.model = model

    def process_bind_param(self, value: M | None, dialect: Dialect) -> Any:
        """The JSON data that are stored."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> M | None:
        """The model of the stored JSON data."""
        return None if value is None else self.model.model_validate(value)


class WithSentences(TypeDecorator[Any]):
    """JSON whose sentences are stored in no language, to be said in that of each reader."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The JSON data that are stored."""
        return as_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The stored JSON data with the sentences that they had."""
        return from_json(value)
