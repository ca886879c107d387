"""The base of every body of a request, and the shapes of contracts as callers send them."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    PlainValidator,
)
from pydantic_core import CoreSchema, core_schema, to_json

from shared.sentences import Sentence

from .base import Localized, LocalizedLong, PartlyLocalized, PartlyLocalizedLong

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(written: object) -> date:
    # Digits alone would be read as seconds since 1970, and "20260115" as a day of that year.
    if not (isinstance(written, str) and _DAY.fullmatch(written)):
        raise ValueError(Sentence("give year, month and day, such as 2026-09-01"))
    return date.fromisoformat(written)


Day = Annotated[date, PlainValidator(_day, json_schema_input_type=date)]
"""A day as ISO 8601 writes it, and nothing else that could be taken for one."""


class RequestBody(BaseModel):
    """What a caller sends, taken as it is written or not at all.

    No type is guessed: `true` is no 1, "5" no number and "yes" no yes. A field that does not exist
    is refused at any depth: ignored, a misspelt one would look obeyed. So whatever is nested in a
    body is a `RequestBody` too. Bodies are parsed, by `model_validate`, and never constructed.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate data that were parsed before, such as the framework's, as the JSON they were.

        Only of JSON does a strict model take dates, ids and codes as texts.
        """
        schema: Any = handler(source)
        if schema["type"] == "json-or-python":  # made before
            return schema  # type: ignore[no-any-return]  # it is a schema
        reference = schema.pop("ref", None)
        parsed = core_schema.no_info_wrap_validator_function(cls._of_data, schema)
        return core_schema.json_or_python_schema(schema, parsed, ref=reference)

    @classmethod
    def _of_data(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return cls.model_validate_json(to_json(data)) if isinstance(data, dict) else handler(data)


class LocalizedIn(Localized, RequestBody):
    """A text in French and Arabic, at most 500 characters each."""


class LocalizedLongIn(LocalizedLong, RequestBody):
    """A long text in French and Arabic, at most 8,000 characters each."""


class PartlyLocalizedIn(PartlyLocalized, RequestBody):
    """A text in French, in Arabic or in both, at most 500 characters each."""


class PartlyLocalizedLongIn(PartlyLocalizedLong, RequestBody):
    """A long text in French, in Arabic or in both, at most 8,000 characters each."""
