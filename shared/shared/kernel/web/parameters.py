"""Checks of parameters: numbers are written in digits, moments have a zone and a plausible year,
query parameters exist and say something.

A misspelt or empty filter is refused: were it ignored, an unfiltered response would look filtered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticKnownError

from shared import reference
from shared.errors import Problem, refuse_problems
from shared.sentences import Sentence
from shared.spelling import is_plain_number

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2999
_DAY_AND_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}")


def _in_digits(written: object) -> object:
    if isinstance(written, str) and not is_plain_number(written):
        raise PydanticKnownError("int_parsing")
    return written


PLAIN_DIGITS: Final = BeforeValidator(_in_digits)
"""Takes only plain digits for a whole number in an address; stands after the bounds of the number,
`Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS]`, so that the API's document has them.
"""


def _in_words(written: object) -> object:
    if written not in (True, False, "true", "false"):
        raise PydanticKnownError("bool_parsing")
    return written


Flag = Annotated[bool, BeforeValidator(_in_words)]
"""`true` or `false` in an address; pydantic would take `1`, `on` and `Yes` as well."""


def _written_out(written: object) -> object:
    # Digits alone would be read as seconds since 1970.
    if isinstance(written, datetime) or (isinstance(written, str) and _DAY_AND_TIME.match(written)):
        return written
    raise PydanticKnownError("datetime_parsing", {"error": "no day"})


def _in_utc(moment: datetime) -> datetime:
    # The year first: near the ends of the calendar other zones have no such moment.
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(
            Sentence(
                "the year lies before {first_year} or after {last_year}: check it",
                first_year=FIRST_YEAR,
                last_year=LAST_YEAR,
            )
        )
    return moment.astimezone(UTC)


Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
]
"""A moment that a caller gives with its zone, converted to UTC.

Strict models take it too: what was looked at before is a text of Python, no longer one of JSON.
"""


def _with_a_word(text: str) -> str:
    if not reference.fold(text):
        raise ValueError(
            Sentence("no letter or digit is in it: give a word to search for, or leave it out")
        )
    return text


SearchWords = Annotated[str, StringConstraints(max_length=100), AfterValidator(_with_a_word)]
"""Words to search names for, at least one: a search for signs alone would find everything."""


def refuse_unusable(request: Request) -> None:
    """Raise `Invalid` for query parameters that the route does not have, repeated and empty ones.

    A parameter that takes several values may be repeated.
    """
    if not request.query_params:
        return
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    taken = _taken(request.scope["endpoint"], request.scope["route"].path)
    refuse_problems(
        Problem(name[:80], remedy)
        for name, values in given.items()
        if (remedy := _remedy(name, values, taken))
    )


def _remedy(name: str, values: list[str], taken: dict[str, bool]) -> Sentence | None:
    if name not in taken:
        return _instead_of(name, taken)
    if len(values) > 1 and not taken[name]:
        return Sentence("is given more than once: give it once")
    if not all(value.strip() for value in values):
        return Sentence("is empty: give a value, or leave it out")
    return None


def _instead_of(name: str, taken: dict[str, bool]) -> Sentence:
    near = get_close_matches(name[:80], taken, n=1)
    if near:
        return Sentence("there is no such parameter: did you mean {near}?", near=near[0])
    names = ", ".join(sorted(taken)) or Sentence("none")
    return Sentence("there is no such parameter: this path takes {names}", names=names)


@cache
def _taken(endpoint: Callable[..., Any], path: str) -> dict[str, bool]:
    """Each query parameter of a route, and whether it takes several values."""
    return {
        field.alias: get_origin(field.field_info.annotation) in {list, set, tuple}
        for field in _query_fields(get_dependant(path=path, call=endpoint))
    }


def _query_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for part in dependant.dependencies:
        yield from _query_fields(part)
