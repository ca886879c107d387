"""Member counts that can be trusted, and the least and most that each share can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts.criteria import MinShare, Profile

from .verdict import Rule


@dataclass(frozen=True)
class Counts:
    """Counts of members. A count that cannot be true (below 0, above the total) is unknown.

    A total of 0 is unknown too: it stands for a form not filled in. `is_either_wrong` says that
    the stated number of women or youth contradicts the other counts.
    """

    total: int | None
    women: int | None
    youth: int | None
    either: int | None
    is_either_wrong: bool

    @classmethod
    def of(cls, profile: Profile) -> Counts:
        """The counts of a profile; those that cannot be true are left out."""
        total = profile.members_total
        total = total if total is not None and total > 0 else None
        women = _usable(profile.members_women, total)
        youth = _usable(profile.members_youth, total)
        either = profile.members_women_or_youth
        is_wrong = either is not None and not _agrees(either, total, women, youth)
        return cls(total, women, youth, None if is_wrong else either, is_wrong)


def _usable(part: int | None, total: int | None) -> int | None:
    if part is None or part < 0 or (total is not None and part > total):
        return None
    return part


def _agrees(either: int, total: int | None, women: int | None, youth: int | None) -> bool:
    if _usable(either, total) is None or either < max(women or 0, youth or 0):
        return False
    return women is None or youth is None or either <= women + youth


@dataclass(frozen=True)
class Bounds:
    """The least and the most that a share's part can be, and the fields that would settle it."""

    low: int
    high: int
    missing: tuple[str, ...]


def _women(counts: Counts, total: int) -> Bounds:
    if counts.women is None:
        return Bounds(0, total, ("members_women",))
    return Bounds(counts.women, counts.women, ())


def _youth(counts: Counts, total: int) -> Bounds:
    if counts.youth is None:
        return Bounds(0, total, ("members_youth",))
    return Bounds(counts.youth, counts.youth, ())


def _women_plus_youth(counts: Counts, total: int) -> Bounds:
    women, youth = _women(counts, total), _youth(counts, total)
    return Bounds(women.low + youth.low, women.high + youth.high, women.missing + youth.missing)


def _women_or_youth(counts: Counts, total: int) -> Bounds:
    if counts.is_either_wrong:
        return Bounds(0, total, ("members_women_or_youth",))
    if counts.either is not None:
        return Bounds(counts.either, counts.either, ())
    women, youth = _women(counts, total), _youth(counts, total)
    missing = women.missing + youth.missing or ("members_women_or_youth",)
    return Bounds(max(women.low, youth.low), min(women.high + youth.high, total), missing)


_BOUNDS: dict[Rule, Callable[[Counts, int], Bounds]] = {
    Rule.SHARE_WOMEN: _women,
    Rule.SHARE_YOUTH: _youth,
    Rule.SHARE_WOMEN_PLUS_YOUTH: _women_plus_youth,
    Rule.SHARE_WOMEN_OR_YOUTH: _women_or_youth,
}


def bounds(rule: Rule, counts: Counts) -> Bounds:
    """The bounds of one share; without a total they are meaningless, only `missing` counts."""
    return _BOUNDS[rule](counts, counts.total or 0)


def meets(part: int, total: int, share: MinShare) -> bool:
    """Whether part of total reaches the share: multiplied out, so that 3 of 10 is not > 30 %."""
    needed = share.percent * total
    return part * 100 > needed if share.strict else part * 100 >= needed
