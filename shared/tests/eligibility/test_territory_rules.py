"""Regions, provinces and communes: which places match, and when one is missing."""

from __future__ import annotations

import pytest

from shared.contracts.criteria import Criteria

from .outcomes import outcome_of

AGADIR_COMMUNE, TIZNIT_COMMUNE, OTHER_TIZNIT = "09.001.01.01", "09.581.05.03", "09.581.05.05"


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
