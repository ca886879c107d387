"""What fields of the register and their values are called, in each language."""

from __future__ import annotations

from datetime import date

from shared import reference
from shared.contracts.base import Language
from shared.eligibility import arabic, french

FIELDS: dict[Language, dict[str, str]] = {
    "fr": {"region": "région", **french.FIELDS},
    "ar": {"region": "الجهة", **arabic.FIELDS},
}
VALUES: dict[Language, dict[str, str]] = {"fr": french.VALUES, "ar": arabic.VALUES}


def name_of_field(field: str, language: Language) -> str:
    """The field as a reader knows it."""
    return FIELDS[language].get(field, field)


def name_of_value(field: str, value: str | int | date, language: Language) -> str:
    """The value as a reader knows it; a code that nobody knows stays as it is."""
    if field in {"region", "province", "sector"}:
        try:
            return reference.label(field, str(value), language)  # type: ignore[arg-type]  # checked above
        except reference.UnknownCode:
            return str(value)
    return VALUES[language].get(str(value), str(value))
