"""Which places the criteria of a track cover: worked out once, for the evaluator and for SQL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from shared import reference
from shared.contracts.criteria import Criteria

PREFIX_LENGTH = len("09.581.")


@dataclass(frozen=True)
class Territory:
    """Places of a track, seen from the province: a province decides alone wherever it can."""

    regions: frozenset[str]
    provinces: frozenset[str]
    communes: frozenset[str]
    whole: frozenset[str]
    """Provinces that match whatever the commune: named, or in a named region."""
    partly: frozenset[str]
    """Provinces that match in some communes only."""
    touched: frozenset[str]
    """Regions of which a part is named: the province must be known there."""


def territory_of(criteria: Criteria) -> Territory | None:
    """The territory that the criteria name, or None when they name none."""
    if not (criteria.regions or criteria.provinces or criteria.communes):
        return None
    return _territory(criteria.regions, criteria.provinces, criteria.communes)


@lru_cache(maxsize=1024)
def _territory(
    regions: tuple[str, ...], provinces: tuple[str, ...], communes: tuple[str, ...]
) -> Territory:
    inside = {item.code for code in regions for item in reference.provinces_of(code)}
    whole = inside.union(provinces)
    of_communes = {province_of(code) for code in communes} - {None}
    partly = {code for code in of_communes if code is not None} - whole
    touched = {region_of(code) for code in partly.union(provinces)} - {None}
    return Territory(
        regions=frozenset(regions),
        provinces=frozenset(provinces),
        communes=frozenset(communes),
        whole=frozenset(whole),
        partly=frozenset(partly),
        touched=frozenset(code for code in touched if code is not None),
    )


@cache
def province_prefixes() -> dict[str, str]:
    """The code of each province, by the prefix of its communes' codes, such as `09.581.`."""
    return {f"{item.hcp_code}.": item.code for item in reference.provinces()}


@cache
def _regions_by_province() -> dict[str, str]:
    return {item.code: item.region for item in reference.provinces()}


def province_of(commune: str | None) -> str | None:
    """The province that a commune's code names, if it names one."""
    return province_prefixes().get(commune[:PREFIX_LENGTH]) if commune is not None else None


def region_of(province: str | None) -> str | None:
    """The region of a province; None for a code that the reference data do not have."""
    return _regions_by_province().get(province) if province is not None else None
