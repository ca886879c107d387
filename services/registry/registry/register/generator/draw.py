"""Drawing columns of the register as arrays whose sums are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared import reference

from . import figures

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Weights = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Members:
    """Counts of members by cooperative, and whether the register knows each count."""

    women_only: Flags
    total: Numbers
    women: Numbers
    youth: Numbers
    women_or_youth: Numbers
    knows_total: Flags
    knows_women: Flags
    knows_youth: Flags
    knows_women_or_youth: Flags


def scaled(figure: int, count: int) -> int:
    """A published figure in proportion to a register of `count` cooperatives, rounded."""
    return (figure * count + figures.COOPERATIVES // 2) // figures.COOPERATIVES


def apportion(weights: Weights, total: int, caps: Numbers) -> Numbers:
    """Whole numbers in proportion to the weights, none above its cap, that add up to `total`.

    Found by bisection of the factor, then by largest remainder. Raises ValueError if the caps add
    up to less.
    """
    if total > int(caps.sum()):
        raise ValueError(f"{total} cannot be spread: the caps add up to {int(caps.sum())}")
    weights = np.where(weights > 0, weights, 1e-9)
    low, high = 0.0, float(total + 1) / float(weights.min())
    for _ in range(200):
        middle = (low + high) / 2
        reached = float(np.minimum(caps, weights * middle).sum())
        low, high = (middle, high) if reached < total else (low, middle)
    quotas = np.minimum(caps, weights * low)
    parts = np.floor(quotas).astype(np.int64)
    # Tiny registers need several passes: more is left over than rows are below their cap.
    while (missing := total - int(parts.sum())) > 0:
        order = np.argsort(np.where(parts < caps, parts - quotas, np.inf), kind="stable")
        chosen = order[: min(missing, int((parts < caps).sum()))]
        parts[chosen] += 1
    return parts


def pick(shares: Mapping[str, float], count: int, generator: np.random.Generator) -> list[str]:
    """`count` names in random order, each as often as its share says."""
    names = list(shares)
    places = np.repeat(np.arange(len(names)), exact_counts(shares, count))
    return [names[place] for place in generator.permutation(places)]


def exact_counts(shares: Mapping[str, float], count: int) -> Numbers:
    """How often each name occurs among `count`, by largest remainder."""
    weights = np.array(list(shares.values()), dtype=np.float64)
    return apportion(weights, count, np.full(len(weights), count, dtype=np.int64))


def draw_members(count: int, generator: np.random.Generator) -> Members:
    """Draw which counts are unknown, then known counts that add up to the published totals."""
    women_only = _random_flags(scaled(figures.WOMEN_ONLY, count), count, generator)
    # The women-only cooperatives were counted, so their members and women are known.
    knows_total = women_only | (generator.random(count) >= figures.UNKNOWN_SHARES["members_total"])
    knows_women = women_only | (
        knows_total & (generator.random(count) >= figures.UNKNOWN_SHARES["members_women"])
    )
    knows_youth = knows_total & (generator.random(count) >= figures.UNKNOWN_SHARES["members_youth"])
    youthful = knows_youth & _youthful(count, knows_youth, generator)
    total = _draw_total(women_only, knows_total, youthful, generator)
    women = _draw_women(women_only, knows_women, total, generator)
    youth = _draw_youth(youthful, knows_youth, total, generator)
    knows_both = (
        knows_women
        & knows_youth
        & (generator.random(count) >= figures.UNKNOWN_SHARES["members_women_or_youth"])
    )
    return Members(
        women_only=women_only,
        total=total,
        women=women,
        youth=youth,
        women_or_youth=_draw_union(total, women, youth, generator),
        knows_total=knows_total,
        knows_women=knows_women,
        knows_youth=knows_youth,
        knows_women_or_youth=knows_both,
    )


def draw_sectors(women_only: Flags, generator: np.random.Generator) -> list[str]:
    """A sector for each: exact shares for women-only cooperatives and for all of them together."""
    count, women_count = len(women_only), int(women_only.sum())
    overall = dict(
        zip(figures.SECTOR_SHARES, _shares_of(figures.SECTOR_SHARES, count), strict=True)
    )
    rest = exact_counts(figures.OTHER_SECTOR_WEIGHTS, count - sum(overall.values()))
    overall |= dict(zip(figures.OTHER_SECTOR_WEIGHTS, (int(n) for n in rest), strict=True))
    among_women = dict(
        zip(
            figures.WOMEN_ONLY_SECTOR_SHARES,
            _shares_of(figures.WOMEN_ONLY_SECTOR_SHARES, women_count),
            strict=True,
        )
    )
    rest = exact_counts(figures.WOMEN_ONLY_OTHER_WEIGHTS, women_count - sum(among_women.values()))
    among_women |= dict(zip(figures.WOMEN_ONLY_OTHER_WEIGHTS, (int(n) for n in rest), strict=True))
    left = {name: max(n - among_women.get(name, 0), 0) for name, n in overall.items()}
    sectors = np.empty(count, dtype=object)
    sectors[women_only] = _shuffled(among_women, generator)
    sectors[~women_only] = _shuffled(left, generator)[: count - women_count]
    return [str(sector) for sector in sectors]


def draw_provinces(sectors: Sequence[str], generator: np.random.Generator) -> list[str]:
    """A province for each, by population and fewer in prefectures; argan and fisheries only where
    they exist.
    """
    codes = [province.code for province in reference.provinces()]
    kinds = np.array(sectors)
    provinces = np.empty(len(sectors), dtype=object)
    limited = {"ARGAN": figures.ARGAN_PROVINCES, "FISHERIES": figures.COASTAL_PROVINCES}
    for sector, among in (*limited.items(), (None, tuple(codes))):
        here = ~np.isin(kinds, list(limited)) if sector is None else kinds == sector
        weights = {code: _province_weight(code) for code in among}
        provinces[here] = pick(weights, int(here.sum()), generator)
    return [str(province) for province in provinces]


def draw_days(count: int, generator: np.random.Generator) -> Numbers:
    """Days of creation as ordinals, by the published numbers of cooperatives alive at dates."""
    anchors = (*figures.BEFORE_2020, *figures.ALIVE_AT)
    days = np.array([day.toordinal() for day, _ in anchors], dtype=np.float64)
    alive = np.array([number for _, number in anchors], dtype=np.float64)
    order = (generator.permutation(count) + generator.random(count)) / count
    return np.interp(order * figures.COOPERATIVES, alive, days).astype(np.int64)


def _draw_total(
    women_only: Flags, known: Flags, youthful: Flags, generator: np.random.Generator
) -> Numbers:
    count = len(women_only)
    # Most are small and a few are large: a log-normal above the minimum of members by law.
    excess = np.exp(1.15 * generator.standard_normal(count))
    excess = np.where(youthful, excess * 0.4, excess)
    women_members = scaled(figures.WOMEN_ONLY_MEMBERS, count) if women_only.any() else 0
    totals = np.zeros(count, dtype=np.int64)
    for group, members in (
        (women_only, women_members),
        (known & ~women_only, scaled(figures.MEMBERS, count) - women_members),
    ):
        size = int(group.sum())
        if size:
            above = max(members - figures.MIN_MEMBERS * size, 0)
            caps = np.full(size, 4_000, dtype=np.int64)
            totals[group] = figures.MIN_MEMBERS + apportion(excess[group], above, caps)
    return totals


def _draw_women(
    women_only: Flags, known: Flags, total: Numbers, generator: np.random.Generator
) -> Numbers:
    count = len(total)
    share = generator.random(count) ** 1.2
    share[generator.random(count) < figures.NO_WOMEN_SHARE] = 0.0
    women = np.where(women_only, total, 0)
    mixed = known & ~women_only
    wanted = scaled(figures.WOMEN, count) - int(women.sum())
    women[mixed] = apportion(share[mixed] * total[mixed], max(wanted, 0), total[mixed] - 1)
    return women


def _youthful(count: int, known: Flags, generator: np.random.Generator) -> Flags:
    wanted = min(scaled(figures.YOUTH_COOPERATIVES, count), int(known.sum()))
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[generator.permutation(np.flatnonzero(known))[:wanted]] = True
    return chosen


def _draw_youth(
    youthful: Flags, known: Flags, total: Numbers, generator: np.random.Generator
) -> Numbers:
    count = len(total)
    at_least_half = np.ceil(total * (0.5 + 0.5 * generator.random(count))).astype(np.int64)
    youth = np.where(youthful, np.minimum(at_least_half, total), 0)
    wanted = scaled(figures.YOUTH, count)
    if int(youth.sum()) > wanted:  # only in tiny registers, where a few large ones weigh too much
        youth[:] = 0
        youthful = np.zeros(count, dtype=np.bool_)
    others = known & ~youthful
    share = generator.random(count) ** 2
    share[generator.random(count) >= figures.YOUTH_ANYWHERE_SHARE] = 0.0
    wanted -= int(youth.sum())
    youth[others] = apportion(share[others] * total[others], wanted, total[others])
    return youth


def _draw_union(
    total: Numbers, women: Numbers, youth: Numbers, generator: np.random.Generator
) -> Numbers:
    min_overlap = np.maximum(women + youth - total, 0)
    max_overlap = np.minimum(women, youth)
    spread = max_overlap - min_overlap + 1
    overlap = min_overlap + np.floor(generator.random(len(total)) * spread).astype(np.int64)
    union: Numbers = women + youth - overlap
    return union


def _province_weight(code: str) -> float:
    province = reference.province(code)
    weight = figures.PREFECTURE_WEIGHT if province.type == "prefecture" else 1.0
    return weight * province.population


def _shares_of(shares: Mapping[str, float], count: int) -> list[int]:
    return [round(share * count) for share in shares.values()]


def _shuffled(counts: Mapping[str, int], generator: np.random.Generator) -> NDArray[np.object_]:
    names = np.array(list(counts), dtype=object)
    repeated = np.repeat(names, np.array(list(counts.values()), dtype=np.int64))
    return repeated[generator.permutation(len(repeated))]


def _random_flags(wanted: int, count: int, generator: np.random.Generator) -> Flags:
    flags = np.zeros(count, dtype=np.bool_)
    flags[generator.permutation(count)[:wanted]] = True
    return flags
