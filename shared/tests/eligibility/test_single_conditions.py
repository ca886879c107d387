"""The conditions of criteria one by one: none is forgotten, and all together are the criteria."""

from __future__ import annotations

from shared.contracts.criteria import Criteria
from shared.eligibility.single_conditions import FIELDS, conditions_of, only, without
from shared.eligibility.verdict import Rule

WANTED = Criteria(regions=("MA-09",), communes=("09.581.01.07",), min_members=5, max_members=20)


def test_every_field_of_criteria_belongs_to_one_rule():
    fields = [name for names in FIELDS.values() for name in names]

    assert sorted(fields) == sorted(Criteria.model_fields)
    assert set(FIELDS) == set(Rule)


def test_only_conditions_that_are_set_are_named():
    assert conditions_of(WANTED) == (Rule.TERRITORY, Rule.MEMBERS)
    assert conditions_of(Criteria()) == ()


def test_a_condition_is_taken_alone_or_left_out():
    assert only(WANTED, Rule.MEMBERS) == Criteria(min_members=5, max_members=20)
    assert without(WANTED, Rule.MEMBERS) == Criteria(regions=("MA-09",), communes=("09.581.01.07",))
