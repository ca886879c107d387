"""The names of the register's fields and values in each language, and who can fill them in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from shared import reference
from shared.eligibility.wording import FIELDS, VALUES, name_of
from shared.i18n.catalogues import translate
from shared.i18n.languages import reader_language

OF_REFERENCE: Final[dict[str, reference.Kind]] = {
    "region": "region",
    "province": "province",
    "commune": "commune",
    "sector": "sector",
    "branch": "branch",
}
"""Fields whose values are codes of the reference data, and the kind of code."""


def language_for(own: str, asked: str | None) -> str:
    """The language that the reader asked for, else that of the cooperative."""
    return asked or reader_language(own)


def name_of_field(field: str, language: str) -> str:
    """The field as a reader knows it."""
    return FIELDS.name(language, field)


def how_to_complete(fields: Sequence[str], language: str) -> str | None:
    """Whom to ask to fill in or correct these fields, in a sentence; None without fields."""
    if not fields:
        return None
    separator = translate(language, "list.semicolon")
    names = separator.join(name_of_field(field, language) for field in fields)
    return translate(language, "complete.register", fields=names)


def name_of_value(field: str, value: str | int | date, language: str) -> str:
    """The value as a reader knows it; an unknown code is shown as it is."""
    kind = OF_REFERENCE.get(field)
    if kind is not None:
        return name_of(kind, str(value), language)
    return VALUES.name(language, str(value))
