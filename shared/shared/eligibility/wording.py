"""What each language must be able to say about a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from shared import reference
from shared.contracts.base import Language
from shared.contracts.criteria import MinShare

from .verdict import Rule

SHOWN = 3
"""How many of the places or values asked for are listed by name."""

Places = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Regions, provinces and communes, by code."""


@dataclass(frozen=True)
class Range:
    """A least and a greatest number, at least one of them set."""

    least: int | None
    most: int | None


@dataclass(frozen=True)
class ShareSeen:
    """The counts behind a share; `low` and `high` differ when a count is missing."""

    rule: Rule
    low: int
    high: int
    total: int
    women: int | None
    youth: int | None


class Wording(Protocol):
    """One language's sentences."""

    def missing(self, absent: Sequence[str], wrong: Mapping[str, int]) -> str: ...

    def inside(self, region: str | None, province: str | None, commune: str | None) -> str: ...

    def outside(
        self, region: str | None, province: str | None, commune: str | None, asked: Places
    ) -> str: ...

    def listed(self, is_met: bool, rule: Rule, value: str, asked: Sequence[str]) -> str: ...

    def share(self, is_met: bool, seen: ShareSeen, asked: MinShare) -> str: ...

    def members(self, is_met: bool, total: int, asked: Range) -> str: ...

    def age(self, is_met: bool, created_on: date, asked: Range, reference_on: date) -> str: ...


def name_of_sector(code: str, language: Language) -> str:
    """The sector's label, or its code when the reference data do not have it."""
    try:
        return reference.label("sector", code, language)
    except reference.UnknownCode:
        return code


def region_name(code: str, language: Language) -> str:
    """The region's label, or its code when the reference data do not have it."""
    try:
        return reference.label("region", code, language)
    except reference.UnknownCode:
        return code


def province_or_none(code: str | None) -> reference.Province | None:
    """The province, or None for no code and for a code that the reference data do not have."""
    return next((item for item in reference.provinces() if item.code == code), None)
