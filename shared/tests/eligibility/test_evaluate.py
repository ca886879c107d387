"""Verdicts, listed values, ages and masks, with the edges where a careless rule would be wrong."""

from __future__ import annotations

from datetime import date

import pytest

from shared.contracts.criteria import Criteria, Profile
from shared.eligibility.evaluate import evaluate, months_before
from shared.eligibility.verdict import UNKNOWN_FIELDS, Outcome, Rule, fields_of, mask_of

from .outcomes import REFERENCE_ON, outcome_of, share


def test_without_criteria_everyone_is_eligible():
    verdict = evaluate(Criteria(), Profile(), reference_on=REFERENCE_ON)

    assert (verdict.outcome, verdict.rules) == (Outcome.ELIGIBLE, ())


def test_a_rule_not_met_excludes_whatever_else_is_missing():
    verdict = evaluate(
        Criteria(sectors=("ARGAN",), min_members=5, max_age_months=24),
        Profile(sector="CRAFTS"),
        reference_on=REFERENCE_ON,
    )

    assert verdict.outcome is Outcome.INELIGIBLE
    assert verdict.unknown_fields == ()
    assert [(r.rule, r.outcome) for r in verdict.rules] == [
        (Rule.SECTOR, Outcome.INELIGIBLE),
        (Rule.MEMBERS, Outcome.UNKNOWN),
        (Rule.AGE, Outcome.UNKNOWN),
    ]


def test_every_missing_field_is_named_once_in_fixed_order():
    criteria = Criteria(
        max_age_months=24,
        min_members=5,
        min_share_women=share(30),
        min_share_women_plus_youth=share(50),
        sectors=("ARGAN",),
        regions=("MA-09",),
    )

    assert outcome_of(criteria) == (
        "unknown: province, sector, members_total, members_women, members_youth, created_on"
    )


@pytest.mark.parametrize(
    ("criteria", "field", "inside", "outside"),
    [
        (Criteria(sectors=("ARGAN", "FOOD")), "sector", "FOOD", "CRAFTS"),
        (Criteria(branches=("BEEKEEPING",)), "branch", "BEEKEEPING", "DAIRY"),
        (Criteria(applicant_types=("cooperative",)), "applicant_type", "cooperative", "gie"),
        (Criteria(legal_statuses=("registered",)), "legal_status", "registered", "dissolved"),
        (Criteria(activity_statuses=("active",)), "activity_status", "active", "dormant"),
    ],
)
def test_a_list_accepts_its_values_and_asks_for_a_missing_one(criteria, field, inside, outside):
    outcomes = [outcome_of(criteria, **{field: value}) for value in (inside, outside, None)]

    assert outcomes == ["eligible", "ineligible", f"unknown: {field}"]


@pytest.mark.parametrize(
    ("created_on", "expected"),
    [
        (date(2024, 12, 30), "ineligible"),
        (date(2024, 12, 31), "eligible"),
        (date(2026, 6, 30), "eligible"),
        (date(2026, 7, 1), "ineligible"),
        (date(2027, 1, 1), "ineligible"),
        (None, "unknown: created_on"),
    ],
)
def test_an_age_has_a_first_and_a_last_day_of_creation(created_on, expected):
    criteria = Criteria(min_age_months=6, max_age_months=24)

    assert outcome_of(criteria, created_on=created_on) == expected


def test_an_entity_created_after_the_reference_day_is_young():
    later = date(2027, 1, 1)

    outcomes = [
        outcome_of(Criteria(max_age_months=24), created_on=later),
        outcome_of(Criteria(min_age_months=0), created_on=later),
    ]

    assert outcomes == ["eligible", "ineligible"]


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 12, 31), 0, date(2026, 12, 31)),
        (date(2026, 12, 31), 1, date(2026, 11, 30)),
        (date(2024, 3, 31), 1, date(2024, 2, 29)),
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2026, 1, 15), 13, date(2024, 12, 15)),
        (date(2026, 1, 15), 10**6, date.min),
    ],
)
def test_months_are_counted_back_by_the_calendar(day, months, expected):
    assert months_before(day, months) == expected


def test_a_mask_contains_every_field_and_returns_it():
    masks = [mask_of([field]) for field in UNKNOWN_FIELDS]

    assert masks == [2**bit for bit in range(12)]
    assert fields_of(sum(masks)) == UNKNOWN_FIELDS
    assert fields_of(mask_of(["created_on", "sector", "sector"])) == ("sector", "created_on")
