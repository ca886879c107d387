"""Checks the codes in criteria where criteria enter: a misspelt code would match nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from shared import reference
from shared.contracts.criteria import Criteria
from shared.errors import Invalid, Problem
from shared.sentences import Sentence

MOST_CODES = 2000
"""More than there are communes in the country."""


def criteria_problems(path: str, criteria: Criteria) -> Iterator[Problem]:
    """Every unknown or repeated code, with its place and the nearest valid one."""
    for name, check in (
        ("regions", reference.region),
        ("provinces", reference.province),
        ("sectors", reference.sector),
        ("communes", reference.commune),
        ("branches", reference.branch),
    ):
        yield from _code_problems(f"{path}.{name}", getattr(criteria, name), check)


def _code_problems(
    path: str, codes: Sequence[str], check: Callable[[str], object]
) -> Iterator[Problem]:
    if len(codes) > MOST_CODES:
        yield Problem(path, Sentence("give at most {most_codes} codes", most_codes=MOST_CODES))
        return
    seen: set[str] = set()
    for index, code in enumerate(codes):
        try:
            check(code)
        except Invalid as error:
            yield Problem(f"{path}.{index}", error.detail)
        if code in seen:
            yield Problem(
                f"{path}.{index}", Sentence("{code} is named twice: leave one out", code=code)
            )
        seen.add(code)
