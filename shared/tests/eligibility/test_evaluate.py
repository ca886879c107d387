"""Verdicts, listed values, ages and masks, with the edges where a careless rule would be wrong."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.criteria import Criteria, Profile
from shared.eligibility.evaluate import completed_months, evaluate, last_creation_day
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
        (date(2024, 11, 30), "ineligible"),
        (date(2024, 12, 1), "eligible"),
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
    ("created_on", "day", "months"),
    [
        (date(2026, 12, 31), date(2026, 12, 31), 0),
        (date(2026, 11, 30), date(2026, 12, 29), 0),
        (date(2026, 11, 30), date(2026, 12, 30), 1),
        (date(2026, 1, 31), date(2026, 2, 27), 0),
        (date(2026, 1, 31), date(2026, 2, 28), 1),
        (date(2026, 1, 31), date(2026, 3, 30), 1),
        (date(2026, 1, 31), date(2026, 3, 31), 2),
        (date(2024, 1, 31), date(2024, 2, 28), 0),
        (date(2024, 1, 31), date(2024, 2, 29), 1),
        (date(2024, 2, 29), date(2025, 2, 28), 12),
        (date(2023, 2, 28), date(2024, 2, 28), 12),
        (date(2024, 12, 15), date(2026, 1, 14), 12),
        (date(2024, 12, 15), date(2026, 1, 15), 13),
        (date(2027, 1, 1), date(2026, 12, 31), -1),
        (date(2026, 3, 1), date(2026, 2, 28), -1),
    ],
)
def test_a_month_is_completed_on_the_day_of_creation_or_else_on_the_last(created_on, day, months):
    assert completed_months(created_on, day) == months


@given(
    months=st.integers(0, 30 * 12),
    day=st.dates(date(2000, 1, 1), date(2060, 12, 31)),
    beside=st.integers(-40, 40),
)
def test_the_last_day_of_creation_is_the_last_from_which_the_months_are_completed(
    months, day, beside
):
    last = last_creation_day(months, day)
    created_on = last + timedelta(days=beside)

    assert (completed_months(created_on, day) >= months) is (created_on <= last)


def test_no_day_of_the_calendar_is_long_enough_ago_for_absurd_ages():
    assert last_creation_day(10**6, date(2026, 1, 15)) is None
    assert last_creation_day(2025 * 12, date(2026, 1, 15)) == date(1, 1, 15)


def test_a_mask_contains_every_field_and_returns_it():
    masks = [mask_of([field]) for field in UNKNOWN_FIELDS]

    assert masks == [2**bit for bit in range(12)]
    assert fields_of(sum(masks)) == UNKNOWN_FIELDS
    assert fields_of(mask_of(["created_on", "sector", "sector"])) == ("sector", "created_on")
