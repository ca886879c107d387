"""What fields of the register and their values are called, in each language, and who fills them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from shared import reference
from shared.contracts.base import Language
from shared.eligibility import arabic, french

FIELDS: dict[Language, dict[str, str]] = {
    "fr": {"region": "région", **french.FIELDS},
    "ar": {"region": "الجهة", **arabic.FIELDS},
}
COMPLETING: dict[Language, str] = {
    "fr": "Pour que la réponse soit sûre, demandez à votre délégation régionale de l'ODCO"
    " d'inscrire ou de corriger au registre : {fields}.",
    "ar": "للحصول على جواب مؤكد، اطلبوا من المندوبية الجهوية لمكتب تنمية التعاون تسجيل ما يلي"
    " في السجل أو تصحيحه: {fields}.",
}
"""Delegations keep the register, so a cooperative asks its own."""
SEPARATORS: dict[Language, str] = {"fr": " ; ", "ar": "؛ "}
VALUES: dict[Language, dict[str, str]] = {"fr": french.VALUES, "ar": arabic.VALUES}


def language_for(own: str, asked: Language | None) -> Language:
    """The language asked for, else the own one of whom it is about."""
    return asked or ("fr" if own == "fr" else "ar")


def name_of_field(field: str, language: Language) -> str:
    """The field as a reader knows it."""
    return FIELDS[language].get(field, field)


def how_to_complete(fields: Sequence[str], language: Language) -> str | None:
    """What to do about fields that are missing or can't be true; None where none is."""
    if not fields:
        return None
    names = SEPARATORS[language].join(name_of_field(field, language) for field in fields)
    return COMPLETING[language].format(fields=names)


def name_of_value(field: str, value: str | int | date, language: Language) -> str:
    """The value as a reader knows it; a code that nobody knows stays as it is."""
    if field in {"region", "province", "sector"}:
        try:
            return reference.label(field, str(value), language)  # type: ignore[arg-type]  # checked above
        except reference.UnknownCode:
            return str(value)
    return VALUES[language].get(str(value), str(value))
