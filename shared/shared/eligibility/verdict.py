"""The result of evaluating a track: an outcome, the rules behind it, the missing fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

UNKNOWN_FIELDS = (
    "province",
    "commune",
    "sector",
    "branch",
    "applicant_type",
    "legal_status",
    "activity_status",
    "members_total",
    "members_women",
    "members_youth",
    "members_women_or_youth",
    "created_on",
)
"""Fields that a verdict may ask for. The position of a field is its bit in stored masks: append,
never insert, move or remove."""


class Outcome(StrEnum):
    """How a rule or a track came out. `unknown` is no refusal: a missing field would decide."""

    ELIGIBLE = "eligible"
    INELIGIBLE = "ineligible"
    UNKNOWN = "unknown"


class Rule(StrEnum):
    """One rule per condition that criteria can hold."""

    TERRITORY = "territory"
    SECTOR = "sector"
    BRANCH = "branch"
    APPLICANT_TYPE = "applicant_type"
    LEGAL_STATUS = "legal_status"
    ACTIVITY_STATUS = "activity_status"
    SHARE_WOMEN = "share_women"
    SHARE_YOUTH = "share_youth"
    SHARE_WOMEN_PLUS_YOUTH = "share_women_plus_youth"
    SHARE_WOMEN_OR_YOUTH = "share_women_or_youth"
    MEMBERS = "members"
    AGE = "age"


@dataclass(frozen=True)
class RuleResult:
    """How one rule came out; `fields` decided it or, when it is unknown, would decide it."""

    rule: Rule
    outcome: Outcome
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """How a track came out. `unknown_fields` is empty unless the outcome is unknown."""

    outcome: Outcome
    rules: tuple[RuleResult, ...]
    unknown_fields: tuple[str, ...]
    reference_on: date

    @property
    def decisive(self) -> Verdict:
        """The verdict with the rules that decided it: where some exclude, with these alone."""
        if self.outcome is not Outcome.INELIGIBLE:
            return self
        excluding = tuple(rule for rule in self.rules if rule.outcome is Outcome.INELIGIBLE)
        return replace(self, rules=excluding)

    @classmethod
    def of(cls, rules: tuple[RuleResult, ...], reference_on: date) -> Verdict:
        """A rule that is not met excludes; where there is none, a missing field leaves it open."""
        outcomes = {result.outcome for result in rules}
        if Outcome.INELIGIBLE in outcomes:
            return cls(Outcome.INELIGIBLE, rules, (), reference_on)
        if Outcome.UNKNOWN not in outcomes:
            return cls(Outcome.ELIGIBLE, rules, (), reference_on)
        named = {f for r in rules if r.outcome is Outcome.UNKNOWN for f in r.fields}
        return cls(Outcome.UNKNOWN, rules, fields_of(mask_of(named)), reference_on)


def mask_of(fields: Iterable[str]) -> int:
    """The fields as one integer, a bit for each by its position in `UNKNOWN_FIELDS`."""
    return sum(1 << UNKNOWN_FIELDS.index(field) for field in set(fields))


def fields_of(mask: int) -> tuple[str, ...]:
    """The fields of a mask, in the order of `UNKNOWN_FIELDS`."""
    return tuple(field for bit, field in enumerate(UNKNOWN_FIELDS) if mask >> bit & 1)
