"""The rules of criteria as their schema publishes them, evaluated by going through everything.

Written from the description of `Criteria` alone, as a partner writes it in another language: over
the JSON of an event, without a line of `shared.eligibility`. It tries every number that an unknown
count may be and counts the months of an age one by one, so it has nothing in common with bounds and
days to compare with but the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import count
from typing import Any

from shared import reference

Json = dict[str, Any]

MATCHES, MAY_MATCH, FAILS = "eligible", "unknown", "ineligible"

LISTS = {
    "sectors": "sector",
    "branches": "branch",
    "applicant_types": "applicant_type",
    "legal_statuses": "legal_status",
    "activity_statuses": "activity_status",
}
REGION_OF = {each.code: each.region for each in reference.provinces()}
PROVINCE_OF = {f"{each.hcp_code}.": each.code for each in reference.provinces()}


def outcome(criteria: Json, entity: Json, reference_on: date) -> str:
    """Whether the entity matches one track, may match it, or fails a condition of it."""
    found = set(_conditions(criteria, entity, reference_on))
    return next((each for each in (FAILS, MAY_MATCH) if each in found), MATCHES)


def _conditions(criteria: Json, entity: Json, reference_on: date) -> Iterator[str]:
    if criteria["regions"] or criteria["provinces"] or criteria["communes"]:
        yield _places(criteria, entity)
    for name, field in LISTS.items():
        if criteria[name]:
            yield _of(entity[field], entity[field] in criteria[name])
    for name in ("women", "youth", "women_plus_youth", "women_or_youth"):
        if (share := criteria[f"min_share_{name}"]) is not None:
            yield _share(name, share, entity)
    yield _members(criteria, entity["members_total"])
    for name in ("min_age_months", "max_age_months"):
        if (asked := criteria[name]) is not None:
            yield _age(name, asked, entity["created_on"], reference_on)


def _of(known: object, is_met: bool) -> str:
    if known is None:
        return MAY_MATCH
    return MATCHES if is_met else FAILS


def _places(criteria: Json, entity: Json) -> str:
    commune = entity["commune"]
    stated = entity["province"]
    province = _province_of(commune) if stated is None else stated
    through_communes = {_province_of(code) for code in criteria["communes"]}
    if province is None:
        named = {REGION_OF.get(code) for code in {*criteria["provinces"], *through_communes}}
        return _region(entity["region"], criteria["regions"], named)
    if province in criteria["provinces"] or REGION_OF.get(province) in criteria["regions"]:
        return MATCHES
    if province in through_communes:
        return _of(commune, commune in criteria["communes"])
    return FAILS


def _province_of(commune: str | None) -> str | None:
    starts = (code for prefix, code in PROVINCE_OF.items() if (commune or "").startswith(prefix))
    return next(starts, None)


def _region(region: str | None, inside: list[str], partly: set[str | None]) -> str:
    if region is not None and region in inside:
        return MATCHES
    return MAY_MATCH if region is None or region in partly else FAILS


def _members(criteria: Json, total: int | None) -> str:
    least, most = criteria["min_members"], criteria["max_members"]
    if not least and most is None:
        return MATCHES
    if total is None or total <= 0:
        return MAY_MATCH
    return _of(total, (least or 0) <= total and (most is None or total <= most))


def _share(name: str, share: Json, entity: Json) -> str:
    total = entity["members_total"]
    if share["percent"] == 0 and not share["strict"]:
        return MATCHES
    if total is None or total <= 0:
        return MAY_MATCH
    met = {_meets(number, total, share) for number in _numbers(name, entity, total)}
    if len(met) > 1:
        return MAY_MATCH
    return MATCHES if met == {True} else FAILS


def _meets(number: int, total: int, share: Json) -> bool:
    difference = number * 100 - share["percent"] * total
    return difference > 0 if share["strict"] else difference >= 0


def _numbers(name: str, entity: Json, total: int) -> Iterable[int]:
    """Every number that the counted members may be."""
    women = _possible(entity["members_women"], total)
    youth = _possible(entity["members_youth"], total)
    if name == "women":
        return women
    if name == "youth":
        return youth
    if name == "women_plus_youth":
        return {a + b for a in women for b in youth}
    return _women_or_youth(entity["members_women_or_youth"], women, youth, total)


def _possible(stated: int | None, total: int) -> list[int]:
    everything = list(range(total + 1))
    return [stated] if stated in everything else everything


def _women_or_youth(
    stated: int | None, women: list[int], youth: list[int], total: int
) -> Iterable[int]:
    consistent = {
        number for a in women for b in youth for number in range(max(a, b), min(a + b, total) + 1)
    }
    if stated is None:
        return consistent
    return [stated] if stated in consistent else range(total + 1)


def _age(name: str, asked: int, created_on: str | None, reference_on: date) -> str:
    if created_on is None:
        return MAY_MATCH
    created = date.fromisoformat(created_on)
    if created > reference_on:
        return FAILS if name == "min_age_months" else MATCHES
    age = next(n for n in count() if _completed_on(created, n + 1) > reference_on)
    is_met = age >= asked if name == "min_age_months" else age <= asked
    return MATCHES if is_met else FAILS


def _completed_on(created: date, months: int) -> date:
    """The day on which so many months since the creation are completed."""
    first = created.replace(day=1)
    for _ in range(months):
        first = (first + timedelta(days=31)).replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return min(first + timedelta(days=created.day - 1), after - timedelta(days=1))
