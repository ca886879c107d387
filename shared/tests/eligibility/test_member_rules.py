"""Numbers and shares of members, with each of their outcomes."""

from __future__ import annotations

import pytest

from shared.contracts.criteria import Criteria

from .outcomes import outcome_of, share


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
