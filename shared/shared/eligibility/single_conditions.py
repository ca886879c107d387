"""The conditions of criteria one by one: a single one alone, or all but one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.contracts.criteria import Criteria

from .verdict import Rule

FIELDS: Final[Mapping[Rule, tuple[str, ...]]] = {
    Rule.TERRITORY: ("regions", "provinces", "communes"),
    Rule.SECTOR: ("sectors",),
    Rule.BRANCH: ("branches",),
    Rule.APPLICANT_TYPE: ("applicant_types",),
    Rule.LEGAL_STATUS: ("legal_statuses",),
    Rule.ACTIVITY_STATUS: ("activity_statuses",),
    Rule.SHARE_WOMEN: ("min_share_women",),
    Rule.SHARE_YOUTH: ("min_share_youth",),
    Rule.SHARE_WOMEN_PLUS_YOUTH: ("min_share_women_plus_youth",),
    Rule.SHARE_WOMEN_OR_YOUTH: ("min_share_women_or_youth",),
    Rule.MEMBERS: ("min_members", "max_members"),
    Rule.AGE: ("min_age_months", "max_age_months"),
}
"""The fields of criteria that each rule evaluates; every field belongs to one rule."""
_NOTHING: Final = Criteria()


def conditions_of(criteria: Criteria) -> tuple[Rule, ...]:
    """The rules that the criteria hold a condition for."""
    return tuple(rule for rule in FIELDS if only(criteria, rule) != _NOTHING)


def only(criteria: Criteria, rule: Rule) -> Criteria:
    """The condition of this rule alone."""
    return _NOTHING.model_copy(update={name: getattr(criteria, name) for name in FIELDS[rule]})


def without(criteria: Criteria, rule: Rule) -> Criteria:
    """All conditions but that of this rule."""
    return criteria.model_copy(update={name: getattr(_NOTHING, name) for name in FIELDS[rule]})
