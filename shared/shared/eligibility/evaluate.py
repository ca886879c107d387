"""Says whether an entity may take a track: yes, no, or which missing field would decide."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from shared.contracts.criteria import Criteria, MinShare, Profile

from .counts import Counts, bounds, meets
from .territory import Territory, province_of, territory_of
from .verdict import Outcome, Rule, RuleResult, Verdict


def evaluate(criteria: Criteria, profile: Profile, *, reference_on: date) -> Verdict:
    """Every rule of the criteria, applied to the profile as it stands on the reference day."""
    return Verdict.of(tuple(_rules(criteria, profile, reference_on)), reference_on)


def excludes(criteria: Criteria, profile: Profile, *, reference_on: date) -> bool:
    """Whether the verdict is ineligible; rules after the first that excludes are not evaluated."""
    return any(
        each.outcome is Outcome.INELIGIBLE for each in _rules(criteria, profile, reference_on)
    )


def _rules(criteria: Criteria, profile: Profile, reference_on: date) -> Iterator[RuleResult]:
    yield from _place_rules(criteria, profile)
    yield from _listed_rules(criteria, profile)
    yield from _member_rules(criteria, Counts.of(profile))
    yield from _age_rules(criteria, profile, reference_on)


def _result(rule: Rule, is_met: bool, *fields: str) -> RuleResult:
    return RuleResult(rule, Outcome.ELIGIBLE if is_met else Outcome.INELIGIBLE, fields)


def _open(rule: Rule, *fields: str) -> RuleResult:
    return RuleResult(rule, Outcome.UNKNOWN, fields)


def _place_rules(criteria: Criteria, profile: Profile) -> Iterator[RuleResult]:
    territory = territory_of(criteria)
    if territory is None:
        return
    province = profile.province if profile.province is not None else province_of(profile.commune)
    if province is None:
        yield _in_region(territory, profile.region)
    else:
        yield _in_province(territory, province, profile.commune)


def _in_province(territory: Territory, province: str, commune: str | None) -> RuleResult:
    """A known province settles its region; its communes count only where some are named."""
    if province in territory.whole:
        named = "province" if province in territory.provinces else "region"
        return _result(Rule.TERRITORY, True, named)
    if province not in territory.partly:
        return _result(Rule.TERRITORY, False, "province")
    if commune is None:
        return _open(Rule.TERRITORY, "commune")
    return _result(Rule.TERRITORY, commune in territory.communes, "commune")


def _in_region(territory: Territory, region: str | None) -> RuleResult:
    if region is not None and region in territory.regions:
        return _result(Rule.TERRITORY, True, "region")
    if region is None or region in territory.touched:
        return _open(Rule.TERRITORY, "province")
    return _result(Rule.TERRITORY, False, "region")


@dataclass(frozen=True)
class ListedRule:
    """A rule that asks for one of the listed values of one field."""

    rule: Rule
    field: str
    criterion: str

    def allowed(self, criteria: Criteria) -> tuple[str, ...]:
        """The values that the criteria list; empty where they list none."""
        values: tuple[str, ...] = getattr(criteria, self.criterion)
        return values

    def value(self, profile: Profile) -> str | None:
        """The value of the profile's field; None where it is unknown."""
        value: str | None = getattr(profile, self.field)
        return value


LISTED_RULES = (
    ListedRule(Rule.SECTOR, "sector", "sectors"),
    ListedRule(Rule.BRANCH, "branch", "branches"),
    ListedRule(Rule.APPLICANT_TYPE, "applicant_type", "applicant_types"),
    ListedRule(Rule.LEGAL_STATUS, "legal_status", "legal_statuses"),
    ListedRule(Rule.ACTIVITY_STATUS, "activity_status", "activity_statuses"),
)


def _listed_rules(criteria: Criteria, profile: Profile) -> Iterator[RuleResult]:
    for listed in LISTED_RULES:
        allowed: Collection[str] = listed.allowed(criteria)
        value = listed.value(profile)
        if not allowed:
            continue
        if value is None:
            yield _open(listed.rule, listed.field)
        else:
            yield _result(listed.rule, value in allowed, listed.field)


def shares_asked(criteria: Criteria) -> Iterator[tuple[Rule, MinShare]]:
    """The shares that constrain something: at least 0 % is true of every entity."""
    for rule, share in (
        (Rule.SHARE_WOMEN, criteria.min_share_women),
        (Rule.SHARE_YOUTH, criteria.min_share_youth),
        (Rule.SHARE_WOMEN_PLUS_YOUTH, criteria.min_share_women_plus_youth),
        (Rule.SHARE_WOMEN_OR_YOUTH, criteria.min_share_women_or_youth),
    ):
        if share is not None and (share.percent > 0 or share.strict):
            yield rule, share


def members_asked(criteria: Criteria) -> tuple[int, int | None] | None:
    """Least and most members, or None when every number of members will do."""
    least, most = criteria.min_members or 0, criteria.max_members
    return (least, most) if least or most is not None else None


SHARE_FIELDS: dict[Rule, tuple[str, ...]] = {
    Rule.SHARE_WOMEN: ("members_women", "members_total"),
    Rule.SHARE_YOUTH: ("members_youth", "members_total"),
    Rule.SHARE_WOMEN_PLUS_YOUTH: ("members_women", "members_youth", "members_total"),
    Rule.SHARE_WOMEN_OR_YOUTH: ("members_women_or_youth", "members_total"),
}


def _member_rules(criteria: Criteria, counts: Counts) -> Iterator[RuleResult]:
    for rule, share in shares_asked(criteria):
        yield _share(rule, share, counts)
    asked = members_asked(criteria)
    if asked is None:
        return
    if counts.total is None:
        yield _open(Rule.MEMBERS, "members_total")
    else:
        least, most = asked
        is_met = least <= counts.total and (most is None or counts.total <= most)
        yield _result(Rule.MEMBERS, is_met, "members_total")


def _share(rule: Rule, share: MinShare, counts: Counts) -> RuleResult:
    """Decided as soon as the least or the most that the part can be decides it."""
    part = bounds(rule, counts)
    if counts.total is None:
        return _open(rule, "members_total", *part.missing)
    if meets(part.low, counts.total, share):
        return _result(rule, True, *SHARE_FIELDS[rule])
    if not meets(part.high, counts.total, share):
        return _result(rule, False, *SHARE_FIELDS[rule])
    return _open(rule, *part.missing)


@dataclass(frozen=True)
class Ages:
    """The least and the greatest age asked for, in completed months; one of them at least is set"""

    least: int | None
    most: int | None

    @classmethod
    def asked(cls, criteria: Criteria) -> Ages | None:
        """The ages that the criteria ask for, or None when every age will do."""
        least, most = criteria.min_age_months, criteria.max_age_months
        return None if least is None and most is None else cls(least, most)

    def admit(self, created_on: date, reference_on: date) -> bool:
        """Whether an entity has such an age on the reference day.

        One created after that day is too young for any least age, 0 included.
        """
        age = completed_months(created_on, reference_on)
        return (self.least is None or self.least <= age) and (self.most is None or age <= self.most)


def _age_rules(criteria: Criteria, profile: Profile, reference_on: date) -> Iterator[RuleResult]:
    asked, created_on = Ages.asked(criteria), profile.created_on
    if asked is None:
        return
    if created_on is None:
        yield _open(Rule.AGE, "created_on")
        return
    yield _result(Rule.AGE, asked.admit(created_on, reference_on), "created_on")


def completed_months(created_on: date, day: date) -> int:
    """The calendar months completed from the creation to a day; below 0 before the creation.

    A month is completed on the day of the month of the creation; where a month has no such day, on
    its last: from 31 January to 28 February it is one.
    """
    begun = (day.year - created_on.year) * 12 + day.month - created_on.month
    return begun if day.day >= min(created_on.day, _last_of_month(day)) else begun - 1


def last_creation_day(months: int, day: date) -> date | None:
    """The last day of creation from which so many months are completed on a day.

    None where that would be before the first year of the calendar.
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < date.min.year:
        return None
    first = date(year, month + 1, 1)
    last = _last_of_month(first)
    return first.replace(day=last if day.day == _last_of_month(day) else min(day.day, last))


def _last_of_month(day: date) -> int:
    return monthrange(day.year, day.month)[1]
