"""Checks of parameters: moments have a zone and a plausible year, and query parameters exist.

A misspelt filter is refused: if it were ignored, an unfiltered response would look filtered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from pydantic import AfterValidator, AwareDatetime

from shared.errors import Invalid, Problem

MOST_NAMED = 20
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2999


def _in_utc(moment: datetime) -> datetime:
    # The year first: near the ends of the calendar other zones have no such moment.
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"the year lies before {FIRST_YEAR} or after {LAST_YEAR}: check it")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment that a caller gives with its zone, converted to UTC."""


def refuse_unknown(request: Request) -> None:
    """Raise `Invalid` for query parameters that the route does not have, and for repeated ones.

    A parameter that takes several values may be repeated.
    """
    if not request.query_params:
        return
    taken = _taken(request.scope["endpoint"], request.scope["route"].path)
    given = Counter(name for name, _ in request.query_params.multi_items())
    problems = [
        Problem(name[:80], _remedy(name, taken))
        for name, times in given.items()
        if name not in taken or (times > 1 and not taken[name])
    ]
    if problems:
        raise Invalid.many(problems[:MOST_NAMED])


def _remedy(name: str, taken: dict[str, bool]) -> str:
    if name in taken:
        return "is given more than once: give it once"
    near = get_close_matches(name[:80], taken, n=1)
    if near:
        return f"there is no such parameter: did you mean {near[0]}?"
    names = ", ".join(sorted(taken)) or "none"
    return f"there is no such parameter: this path takes {names}"


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
