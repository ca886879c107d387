"""Each rule with each of its outcomes, and the edges where a careless rule would be wrong."""

from __future__ import annotations

from datetime import date

import pytest

from shared.contracts.criteria import Criteria, MinShare, Profile
from shared.eligibility.evaluate import evaluate, excludes, months_before
from shared.eligibility.verdict import UNKNOWN_FIELDS, Outcome, Rule, fields_of, mask_of

REFERENCE_ON = date(2026, 12, 31)
AGADIR_COMMUNE, TIZNIT_COMMUNE, OTHER_TIZNIT = "09.001.01.01", "09.581.05.03", "09.581.05.05"


def share(percent: int, *, strict: bool = False) -> MinShare:
    return MinShare(percent=percent, strict=strict)


def outcome_of(criteria: Criteria, **profile: object) -> str:
    """`eligible`, `ineligible`, or `unknown: a, b`."""
    known = Profile.model_validate(profile)
    verdict = evaluate(criteria, known, reference_on=REFERENCE_ON)
    is_excluded = excludes(criteria, known, reference_on=REFERENCE_ON)
    assert is_excluded is (verdict.outcome is Outcome.INELIGIBLE)
    if verdict.outcome is Outcome.UNKNOWN:
        return f"unknown: {', '.join(verdict.unknown_fields)}"
    assert verdict.unknown_fields == ()
    return verdict.outcome


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
    ("place", "expected"),
    [
        ({"region": "MA-09"}, "eligible"),
        ({"province": "MA-TIZ"}, "eligible"),
        ({"province": "MA-TIZ", "region": None}, "eligible"),
        ({"commune": TIZNIT_COMMUNE}, "eligible"),
        ({"province": "MA-NAD"}, "ineligible"),
        ({"region": "MA-02"}, "ineligible"),
        ({"commune": "02.381.01.01"}, "ineligible"),
        ({"commune": "nowhere"}, "unknown: province"),
        ({"province": "MA-QQQ"}, "ineligible"),
        ({}, "unknown: province"),
    ],
)
def test_a_named_region_covers_all_that_lies_in_it(place, expected):
    assert outcome_of(Criteria(regions=("MA-09",)), **place) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"province": "MA-TIZ"}, "eligible"),
        ({"commune": TIZNIT_COMMUNE}, "eligible"),
        ({"province": "MA-AGD"}, "ineligible"),
        ({"region": "MA-09"}, "unknown: province"),
        ({"region": "MA-02"}, "ineligible"),
        ({"commune": AGADIR_COMMUNE, "region": "MA-09"}, "ineligible"),
        ({}, "unknown: province"),
    ],
)
def test_a_named_province_covers_itself_only(place, expected):
    assert outcome_of(Criteria(provinces=("MA-TIZ",)), **place) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"commune": TIZNIT_COMMUNE}, "eligible"),
        ({"commune": TIZNIT_COMMUNE, "province": "MA-TIZ"}, "eligible"),
        ({"commune": OTHER_TIZNIT, "province": "MA-TIZ"}, "ineligible"),
        ({"commune": OTHER_TIZNIT}, "ineligible"),
        ({"province": "MA-TIZ"}, "unknown: commune"),
        ({"province": "MA-AGD"}, "ineligible"),
        ({"province": "MA-AGD", "commune": TIZNIT_COMMUNE}, "ineligible"),
        ({"region": "MA-09"}, "unknown: province"),
        ({"region": "MA-02"}, "ineligible"),
        ({}, "unknown: province"),
    ],
)
def test_a_missing_commune_is_asked_for_only_inside_the_province_of_a_named_one(place, expected):
    assert outcome_of(Criteria(communes=(TIZNIT_COMMUNE,)), **place) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"region": "MA-02"}, "eligible"),
        ({"province": "MA-NAD"}, "eligible"),
        ({"province": "MA-AGD"}, "eligible"),
        ({"commune": TIZNIT_COMMUNE}, "eligible"),
        ({"province": "MA-TIZ"}, "unknown: commune"),
        ({"province": "MA-TAT"}, "ineligible"),
        ({"region": "MA-09"}, "unknown: province"),
        ({"region": "MA-07"}, "ineligible"),
    ],
)
def test_places_of_three_levels_are_a_union(place, expected):
    criteria = Criteria(regions=("MA-02",), provinces=("MA-AGD",), communes=(TIZNIT_COMMUNE,))

    assert outcome_of(criteria, **place) == expected


def test_inside_a_named_province_the_commune_need_not_be_known():
    criteria = Criteria(provinces=("MA-TIZ",), communes=(TIZNIT_COMMUNE,))

    assert outcome_of(criteria, province="MA-TIZ") == "eligible"


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
    ("asked", "women", "total", "expected"),
    [
        (share(30, strict=True), 3, 10, "ineligible"),
        (share(30), 3, 10, "eligible"),
        (share(30, strict=True), 4, 13, "eligible"),
        (share(33), 1, 3, "eligible"),
        (share(34), 1, 3, "ineligible"),
        (share(100), 7, 7, "eligible"),
        (share(100), 6, 7, "ineligible"),
        (share(100, strict=True), 7, 7, "ineligible"),
        (share(0, strict=True), 0, 7, "ineligible"),
        (share(0, strict=True), 1, 7, "eligible"),
        (share(0), None, None, "eligible"),
        (share(30), 2**31 - 1, 2**31 - 1, "eligible"),
        (share(30), 0, 0, "unknown: members_total"),
        (share(30), 3, -10, "unknown: members_total"),
        (share(30), 3, None, "unknown: members_total"),
        (share(30), None, None, "unknown: members_total, members_women"),
        (share(30), None, 10, "unknown: members_women"),
        (share(30), 11, 10, "unknown: members_women"),
        (share(30), -1, 10, "unknown: members_women"),
        (share(100, strict=True), None, 10, "ineligible"),
    ],
)
def test_a_share_of_women_is_multiplied_out(asked, women, total, expected):
    criteria = Criteria(min_share_women=asked)

    assert outcome_of(criteria, members_women=women, members_total=total) == expected


def test_a_share_of_youth_follows_the_same_rule():
    criteria = Criteria(min_share_youth=share(30, strict=True))

    outcomes = [outcome_of(criteria, members_youth=n, members_total=10) for n in (3, 4, None, 11)]

    assert outcomes == [
        "ineligible",
        "eligible",
        "unknown: members_youth",
        "unknown: members_youth",
    ]


@pytest.mark.parametrize(
    ("women", "youth", "expected"),
    [
        (2, 3, "eligible"),
        (2, 2, "ineligible"),
        (10, 10, "eligible"),
        (5, None, "eligible"),
        (None, 5, "eligible"),
        (4, None, "unknown: members_youth"),
        (None, None, "unknown: members_women, members_youth"),
        (11, 4, "unknown: members_women"),
        (11, 5, "eligible"),
    ],
)
def test_women_plus_youth_adds_both_counts_and_asks_only_for_what_decides(women, youth, expected):
    criteria = Criteria(min_share_women_plus_youth=share(50))

    profile = {"members_women": women, "members_youth": youth, "members_total": 10}

    assert outcome_of(criteria, **profile) == expected


def test_women_plus_youth_may_exceed_a_hundred_percent():
    criteria = Criteria(min_share_women_plus_youth=share(100, strict=True))

    outcome = outcome_of(criteria, members_women=9, members_youth=2, members_total=10)

    assert outcome == "eligible"


@pytest.mark.parametrize(
    ("women", "youth", "either", "expected"),
    [
        (3, 3, 5, "eligible"),
        (3, 3, 4, "ineligible"),
        (None, None, 5, "eligible"),
        (None, None, 4, "ineligible"),
        (None, None, 11, "unknown: members_women_or_youth"),
        (None, None, -1, "unknown: members_women_or_youth"),
        (6, 3, 5, "unknown: members_women_or_youth"),
        (3, 1, 5, "unknown: members_women_or_youth"),
        (11, 3, 5, "eligible"),
        (5, 0, None, "eligible"),
        (5, None, None, "eligible"),
        (2, 2, None, "ineligible"),
        (3, 3, None, "unknown: members_women_or_youth"),
        (4, None, None, "unknown: members_youth"),
        (None, 4, None, "unknown: members_women"),
        (None, None, None, "unknown: members_women, members_youth"),
    ],
)
def test_women_or_youth_counts_each_member_once(women, youth, either, expected):
    criteria = Criteria(min_share_women_or_youth=share(50))

    outcome = outcome_of(
        criteria,
        members_women=women,
        members_youth=youth,
        members_women_or_youth=either,
        members_total=10,
    )

    assert outcome == expected


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (4, "ineligible"),
        (5, "eligible"),
        (50, "eligible"),
        (51, "ineligible"),
        (0, "unknown: members_total"),
        (None, "unknown: members_total"),
    ],
)
def test_the_number_of_members_has_a_least_and_a_most(total, expected):
    assert outcome_of(Criteria(min_members=5, max_members=50), members_total=total) == expected


def test_a_minimum_of_no_members_constrains_nothing():
    assert outcome_of(Criteria(min_members=0)) == "eligible"


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
