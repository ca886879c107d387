"""What pydantic finds wrong with a request, as sentences: for each of its types of error one.

They name no pattern and no class, but what to give.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.sentences import Sentence, sentence_of
from shared.spelling import without_controls

MOST_SHOWN: Final = 40
"""Most characters of a value that a problem shows."""
_MOST_DIGITS: Final = 8
_NUMBER: Final = re.compile(r"\+?\d[\d .()/-]*")
PERSONAL: Final = frozenset({
    "email", "phone", "password", "token", "secret", "ice", "president", "contact", "subject",
    "username", "name", "key", "identifier", "proof", "sealed", "address",
})  # fmt: skip
"""Parts of names of fields whose values may be somebody's own, or secret."""

_NO_MOMENT: Final = Sentence(
    "this is no date with a time: check day, month and hour, as in 2027-09-01T16:00"
)
REMEDIES: Final[Mapping[str, str]] = {
    # Presence and shape.
    "missing": Sentence("this is needed: give it"),
    "extra_forbidden": Sentence("there is no such field: check its name, or leave it out"),
    "none_required": Sentence("give null, or leave it out"),
    "model_type": Sentence("give an object"),
    "model_attributes_type": Sentence("give an object"),
    "dict_type": Sentence("give an object"),
    "dataclass_type": Sentence("give an object"),
    "mapping_type": Sentence("give an object"),
    "list_type": Sentence("give a list"),
    "tuple_type": Sentence("give a list"),
    "set_type": Sentence("give a list"),
    "frozen_set_type": Sentence("give a list"),
    "iterable_type": Sentence("give a list"),
    "too_short": Sentence("give at least {min_length} of them"),
    "too_long": Sentence("give at most {max_length} of them"),
    "invalid_key": Sentence("names of fields are texts"),
    "json_type": Sentence("give JSON"),
    # Texts.
    "string_type": Sentence("give a text"),
    "string_unicode": Sentence("give a text in UTF-8"),
    "string_too_short": Sentence("too short: its least length is {min_length}"),
    "string_too_long": Sentence("too long: its greatest length is {max_length}"),
    "string_not_ascii": Sentence("give plain letters of ASCII alone"),
    "bytes_type": Sentence("give a text"),
    "bytes_too_short": Sentence("too short: its least length is {min_length}"),
    "bytes_too_long": Sentence("too long: its greatest length is {max_length}"),
    "bytes_invalid_encoding": Sentence("give a text in UTF-8"),
    # Choices.
    "enum": Sentence("give one of {expected}"),
    "literal_error": Sentence("give one of {expected}"),
    "bool_type": Sentence("give true or false"),
    "bool_parsing": Sentence("give true or false"),
    "union_tag_invalid": Sentence("give one of {expected_tags} as {discriminator}"),
    "union_tag_not_found": Sentence("{discriminator} is needed: give it"),
    # Numbers.
    "int_type": Sentence("give a whole number"),
    "int_parsing": Sentence("give a whole number in digits"),
    "int_parsing_size": Sentence("the number has too many digits"),
    "int_from_float": Sentence("give a whole number, without a fraction"),
    "float_type": Sentence("give a number"),
    "float_parsing": Sentence("give a number"),
    "finite_number": Sentence("give a finite number"),
    "decimal_type": Sentence("give a number"),
    "decimal_parsing": Sentence("give a number"),
    "decimal_max_digits": Sentence("too many digits: {max_digits} at most"),
    "decimal_max_places": Sentence("too many decimals: {decimal_places} at most"),
    "decimal_whole_digits": Sentence("too many digits before the point: {whole_digits} at most"),
    "complex_type": Sentence("give a number"),
    "complex_str_parsing": Sentence("give a number"),
    "multiple_of": Sentence("give a multiple of {multiple_of}"),
    "greater_than": Sentence("give more than {gt}"),
    "greater_than_equal": Sentence("give at least {ge}"),
    "less_than": Sentence("give less than {lt}"),
    "less_than_equal": Sentence("give at most {le}"),
    # Ids and addresses.
    "uuid_type": Sentence("give a UUID"),
    "uuid_parsing": Sentence("give a UUID, as 8e03978e-40d5-43dd-bc93-6894a57f9324"),
    "uuid_version": Sentence("give a UUID of version {expected_version}"),
    "url_type": Sentence("give an address, as https://example.org"),
    "url_parsing": Sentence("give an address, as https://example.org"),
    "url_syntax_violation": Sentence("give an address, as https://example.org"),
    "url_too_long": Sentence("too long: its greatest length is {max_length}"),
    "url_scheme": Sentence("the address has to begin with {expected_schemes}"),
    # Days and moments.
    "date_type": Sentence("give a date, as 2027-09-01"),
    "date_parsing": Sentence("give a date, as 2027-09-01"),
    "date_from_datetime_parsing": Sentence("give a date, as 2027-09-01"),
    "date_from_datetime_inexact": Sentence("give a date without a time, as 2027-09-01"),
    "date_past": Sentence("give a date in the past"),
    "date_future": Sentence("give a date in the future"),
    "time_type": Sentence("give a time, as 16:00"),
    "time_parsing": Sentence("give a time, as 16:00"),
    "datetime_type": _NO_MOMENT,
    "datetime_parsing": _NO_MOMENT,
    "datetime_object_invalid": _NO_MOMENT,
    "datetime_from_date_parsing": _NO_MOMENT,
    "datetime_past": Sentence("give a moment in the past"),
    "datetime_future": Sentence("give a moment in the future"),
    "timezone_aware": Sentence("the zone is missing: add it, as in 2027-09-01T16:00:00+01:00"),
    "timezone_naive": Sentence("leave the zone out"),
    "timezone_offset": Sentence("give the moment in another zone"),
    "time_delta_type": Sentence("give a duration, as PT90M"),
    "time_delta_parsing": Sentence("give a duration, as PT90M"),
}
"""The sentence of each type of error that JSON, a form or a query can cause; parameters are those
of pydantic's `ctx`."""

UNREADABLE: Final = Sentence("this can't be read: see the API's description for what goes here")
"""For types of error that a newer pydantic may have."""
NO_OBJECT: Final = Sentence("send a JSON object, with `Content-Type: application/json`")

SPELLINGS: Final[Mapping[str, Sentence]] = {
    r"^[A-Za-z0-9_.:-]{1,80}$": Sentence("give an id: letters, digits and _ . : -, at most 80"),
    r"^[a-z][a-z0-9_.-]{0,200}$": Sentence("give the name of a queue, as ideas.store_partner"),
    r"^[a-z]{2,3}$": Sentence("give the code of a language, as ar or fr"),
    r"^[a-z0-9]+(-[a-z0-9]+)*$": Sentence(
        "give small letters, digits and single hyphens, as credit-agricole"
    ),
    r"^[a-z][a-z0-9_]{0,39}$": Sentence(
        "give a word of small letters, digits and _, at most 40, as seat_offer"
    ),
    r"^[a-z][a-z_]*$": Sentence("give a word of small letters and _, as public_programme"),
    r"^https://": Sentence("give an address that begins with https://"),
    r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$": Sentence("give an address, as name@example.org"),
    r"^[^\s\x00]+$": Sentence("leave out the spaces"),
    r"^[A-Za-z0-9][A-Za-z0-9/._-]{0,39}$": Sentence(
        "give a reference of letters, digits and / . _ -, at most 40"
    ),
    r"^[0-9]{1,18}$": Sentence("give a whole number in digits"),
}
"""What each pattern of a field asks for, for nobody reads patterns."""


def problem_of(entry: Mapping[str, Any]) -> Problem:
    """One entry of pydantic's `errors()` as a problem, in the caller's terms."""
    field = _place(entry)
    return Problem(field, _remedy(entry), _shown(entry, field))


def _place(entry: Mapping[str, Any]) -> str:
    """Where the problem is, in the caller's terms, such as `tracks.0.criteria.regions`."""
    loc = entry["loc"]
    if entry["type"] == "json_invalid":
        return "body"
    if len(loc) > 1 and loc[0] in {"body", "query", "path", "header"}:
        loc = loc[1:]
    return ".".join(str(part) for part in loc)[:200]


def _remedy(entry: Mapping[str, Any]) -> Sentence:
    kind, context = entry["type"], entry.get("ctx", {})
    if tuple(entry["loc"]) == ("body",) and kind in _NO_OBJECT:
        return NO_OBJECT
    if kind == "json_invalid":
        return Sentence("this is no JSON: look at character {place}", place=entry["loc"][-1])
    if kind in {"value_error", "assertion_error"}:
        return sentence_of(context["error"])
    if kind == "string_pattern_mismatch":
        return SPELLINGS.get(context["pattern"], UNREADABLE)
    template = REMEDIES.get(kind, UNREADABLE)
    return Sentence(template, **{name: _parameter(each) for name, each in context.items()})


_NO_OBJECT: Final = {"dict_type", "model_type", "model_attributes_type", "missing"}


def _parameter(value: Any) -> Any:
    """A parameter of pydantic's; it lists choices in English: `'ar' or 'fr'`."""
    if isinstance(value, str):
        return value.replace("' or '", "', '").replace("'", "")
    return value


def _shown(entry: Mapping[str, Any], field: str) -> str | None:
    """The value that was sent, where it may be shown; lists, objects and unknown fields are not."""
    value = entry.get("input")
    if entry["type"] in {"missing", "extra_forbidden"} or not isinstance(value, str | int | float):
        return None
    return shown(field, str(value))


def shown(field: str, value: str) -> str | None:
    """A value as an error may show it: shortened, and None for what may be personal or secret.

    Nothing is shown of a field with such a name; of others nothing that looks like an e-mail
    address, a phone or another number of at least nine digits.
    """
    words = set(re.split(r"[._-]", field.lower()))
    if words & PERSONAL or "@" in value or any(_is_long(run) for run in _NUMBER.findall(value)):
        return None
    text = without_controls(value[:MOST_SHOWN])
    return text if len(value) <= MOST_SHOWN else f"{text}…"


def _is_long(run: str) -> bool:
    return sum(each.isdigit() for each in run) > _MOST_DIGITS
