"""The evaluator's twin: the same criteria as one SQL condition over a table of profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    String,
    all_,
    and_,
    any_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    true,
)

from shared.contracts.criteria import Criteria, MinShare

from .evaluate import LISTED_RULES, Ages, last_creation_day, members_asked, shares_asked
from .territory import PREFIX_LENGTH, Territory, province_prefixes, territory_of
from .verdict import Rule, mask_of

LARGEST = 2**63 - 1
Condition = ColumnElement[bool]


@dataclass(frozen=True)
class TrackSql:
    """`possible` is TRUE where the verdict is eligible or unknown, else FALSE, never NULL.

    `unknown` is the mask of the verdict's unknown fields, 0 for eligible; it means nothing where
    `possible` is FALSE.
    """

    possible: ColumnElement[bool]
    unknown: ColumnElement[int]


@dataclass(frozen=True)
class _RuleSql:
    """One rule: where it does not exclude and, given that, where which field is missing."""

    possible: Condition
    missing: tuple[tuple[str, Condition], ...]


def compile_track(criteria: Criteria, table: FromClause, reference_on: date) -> TrackSql:
    """The criteria over a table that has the columns of `Profile`.

    Every value is a bound parameter, never part of the statement's text.
    """
    rules = [
        *_place_rules(criteria, table),
        *_listed_rules(criteria, table),
        *_member_rules(criteria, table),
        *_age_rules(criteria, table, reference_on),
    ]
    missing: dict[str, list[Condition]] = defaultdict(list)
    for rule in rules:
        for field, condition in rule.missing:
            missing[field].append(condition)
    return TrackSql(
        possible=and_(true(), *(rule.possible for rule in rules)), unknown=_mask(missing)
    )


def _mask(missing: dict[str, list[Condition]]) -> ColumnElement[int]:
    mask: ColumnElement[int] = literal_column("0", Integer)
    for field, conditions in missing.items():
        bit = literal_column(str(mask_of([field])), Integer)
        mask = mask + case((or_(*conditions), bit), else_=literal_column("0", Integer))
    return mask


def _is_one_of(column: ColumnElement[Any], values: Collection[str]) -> Condition:
    """TRUE or FALSE for a value, NULL for NULL; an index on the column can serve it."""
    return column == any_(literal(sorted(values), ARRAY(column.type)))


def _is_none_of(column: ColumnElement[Any], values: Collection[str]) -> Condition:
    return column != all_(literal(sorted(values), ARRAY(column.type)))


def _place_rules(criteria: Criteria, table: FromClause) -> Iterator[_RuleSql]:
    territory = territory_of(criteria)
    if territory is None:
        return
    province, commune = table.c.province, table.c.commune
    within = [_is_one_of(province, territory.whole)]
    missing = [("province", _is_province_missing(territory, table))]
    if territory.partly:
        partly = _is_one_of(province, territory.partly)
        is_named = or_(commune.is_(None), _is_one_of(commune, territory.communes))
        within.append(and_(partly, is_named))
        missing.append(("commune", and_(province.is_not(None), partly, commune.is_(None))))
    possible = or_(
        # "IS NOT NULL AND" keeps this branch FALSE, not NULL, and still lets an index serve it.
        and_(province.is_not(None), or_(*within)),
        and_(province.is_(None), _is_possible_without_province(territory, table)),
    )
    yield _RuleSql(possible, tuple(missing))


# Conditions that do not depend on the criteria are built once per table: of the time from a fan-out
# to its first alert, building the statement is the largest part that our own code takes.
_once = lru_cache(maxsize=16)


@_once
def _says_no_province(table: FromClause) -> Condition:
    start = func.left(table.c.commune, PREFIX_LENGTH, type_=String)
    return or_(table.c.commune.is_(None), _is_none_of(start, province_prefixes()))


def _is_province_missing(territory: Territory, table: FromClause) -> Condition:
    region = table.c.region
    return and_(
        table.c.province.is_(None),
        _says_no_province(table),
        or_(region.is_(None), _is_none_of(region, territory.regions)),
    )


def _is_possible_without_province(territory: Territory, table: FromClause) -> Condition:
    """By the province that the commune's code names, else by the region."""
    region, commune = table.c.region, table.c.commune
    start = func.left(commune, PREFIX_LENGTH, type_=String)
    whole = [p for p, code in province_prefixes().items() if code in territory.whole]
    partly = [p for p, code in province_prefixes().items() if code in territory.partly]
    is_inside = or_(
        _is_one_of(start, whole),
        and_(_is_one_of(start, partly), _is_one_of(commune, territory.communes)),
    )
    may_be_inside = or_(region.is_(None), _is_one_of(region, territory.regions | territory.touched))
    return or_(and_(commune.is_not(None), is_inside), and_(_says_no_province(table), may_be_inside))


def _listed_rules(criteria: Criteria, table: FromClause) -> Iterator[_RuleSql]:
    for listed in LISTED_RULES:
        allowed = listed.allowed(criteria)
        if allowed:
            column = table.c[listed.field]
            is_missing = column.is_(None)
            yield _RuleSql(
                or_(_is_one_of(column, [str(value) for value in allowed]), is_missing),
                ((listed.field, is_missing),),
            )


@dataclass(frozen=True)
class _CountsSql:
    """`Counts` in SQL: NULL stands for a count that is missing or cannot be true."""

    total: ColumnElement[int]
    is_total_missing: Condition
    women: ColumnElement[int]
    youth: ColumnElement[int]
    stated: ColumnElement[int]
    is_stated_right: Condition


@_once
def _counts(table: FromClause) -> _CountsSql:
    total = _big(table, "members_total")
    is_missing = func.coalesce(total, 0) <= 0
    stated = _big(table, "members_women_or_youth")
    women, youth = (
        case((_is_usable(part, total, is_missing), part))
        for part in (_big(table, "members_women"), _big(table, "members_youth"))
    )
    is_right = and_(
        _is_usable(stated, total, is_missing),
        # greatest() passes over NULL, so a missing count sets no bound
        stated >= func.greatest(women, youth, 0),
        func.coalesce(stated <= women + youth, true()),
    )
    return _CountsSql(total, is_missing, women, youth, stated, is_right)


def _big(table: FromClause, name: str) -> ColumnElement[int]:
    """The count as bigint: a hundred times a large integer would not fit."""
    return cast(table.c[name], BigInteger)


def _is_usable(
    part: ColumnElement[int], total: ColumnElement[int], is_total_missing: Condition
) -> Condition:
    return and_(part.is_not(None), part >= 0, or_(is_total_missing, part <= total))


@dataclass(frozen=True)
class _ShareSql:
    """`Bounds` in SQL; `missing` says where a field would settle a share still open."""

    low: ColumnElement[int]
    high: ColumnElement[int]
    missing: tuple[tuple[str, Condition], ...]


def _bounds(rule: Rule, counts: _CountsSql) -> _ShareSql:
    women, youth, total = counts.women, counts.youth, counts.total
    no_women, no_youth = ("members_women", women.is_(None)), ("members_youth", youth.is_(None))
    women_low, women_high = func.coalesce(women, 0), func.coalesce(women, total)
    youth_low, youth_high = func.coalesce(youth, 0), func.coalesce(youth, total)
    if rule is Rule.SHARE_WOMEN:
        return _ShareSql(women_low, women_high, (no_women,))
    if rule is Rule.SHARE_YOUTH:
        return _ShareSql(youth_low, youth_high, (no_youth,))
    if rule is Rule.SHARE_WOMEN_PLUS_YOUTH:
        return _ShareSql(women_low + youth_low, women_high + youth_high, (no_women, no_youth))
    return _women_or_youth(counts)


def _women_or_youth(counts: _CountsSql) -> _ShareSql:
    women, youth, stated = counts.women, counts.youth, counts.stated
    is_unstated = stated.is_(None)
    is_bounded = and_(is_unstated, women.is_not(None), youth.is_not(None))
    is_wrong = and_(stated.is_not(None), not_(counts.is_stated_right))
    return _ShareSql(
        low=case(
            (is_unstated, func.greatest(women, youth, 0)),
            (counts.is_stated_right, stated),
            else_=0,
        ),
        high=case(
            (is_unstated, func.least(women + youth, counts.total)),
            (counts.is_stated_right, stated),
            else_=counts.total,
        ),
        missing=(
            ("members_women", and_(is_unstated, women.is_(None))),
            ("members_youth", and_(is_unstated, youth.is_(None))),
            ("members_women_or_youth", or_(is_bounded, is_wrong)),
        ),
    )


def _meets(part: ColumnElement[int], total: ColumnElement[int], share: MinShare) -> Condition:
    """Multiplied out: a division by a total of 0 would fail the whole statement."""
    reached, needed = part * 100, total * share.percent
    return reached > needed if share.strict else reached >= needed


def _member_rules(criteria: Criteria, table: FromClause) -> Iterator[_RuleSql]:
    shares, asked = tuple(shares_asked(criteria)), members_asked(criteria)
    if not shares and asked is None:
        return
    counts = _counts(table)
    no_total = ("members_total", counts.is_total_missing)
    for rule, share in shares:
        part = _bounds(rule, counts)
        is_open = or_(counts.is_total_missing, not_(_meets(part.low, counts.total, share)))
        yield _RuleSql(
            or_(counts.is_total_missing, _meets(part.high, counts.total, share)),
            (no_total, *((field, and_(is_open, absent)) for field, absent in part.missing)),
        )
    if asked is not None:
        least, most = (min(limit if limit is not None else LARGEST, LARGEST) for limit in asked)
        is_within = and_(
            counts.total >= literal(least, BigInteger), counts.total <= literal(most, BigInteger)
        )
        yield _RuleSql(or_(counts.is_total_missing, is_within), (no_total,))


def _age_rules(criteria: Criteria, table: FromClause, reference_on: date) -> Iterator[_RuleSql]:
    asked, created_on = Ages.asked(criteria), table.c.created_on
    if asked is None:
        return
    within: list[Condition] = [true()]
    if asked.least is not None:
        within.append(_has_completed(asked.least, created_on, reference_on))
    if asked.most is not None:
        within.append(not_(_has_completed(asked.most + 1, created_on, reference_on)))
    is_missing = created_on.is_(None)
    yield _RuleSql(or_(is_missing, and_(*within)), (("created_on", is_missing),))


def _has_completed(months: int, created_on: ColumnElement[date], reference_on: date) -> Condition:
    """As a day to compare with: the months of each row need not be counted."""
    last = last_creation_day(months, reference_on)
    return false() if last is None else created_on <= literal(last, Date)
