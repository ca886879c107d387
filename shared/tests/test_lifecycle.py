"""Moves that are not in the table, and steps decided on another version, are refused."""

from __future__ import annotations

from enum import StrEnum

import pytest

from shared.errors import ChangedMeanwhile, IllegalMove
from shared.lifecycle import refuse_unless_allowed, refuse_unless_expected


class Gate(StrEnum):
    OPEN = "open"
    SHUT = "shut"


MOVES = {Gate.OPEN: {Gate.SHUT}, Gate.SHUT: frozenset[Gate]()}


def test_a_move_of_the_table_is_allowed():
    refuse_unless_allowed(MOVES, "gate", Gate.OPEN, Gate.SHUT)


@pytest.mark.parametrize("target", Gate)
def test_a_move_that_the_table_does_not_have_is_refused_in_words(target: Gate):
    with pytest.raises(IllegalMove, match=f"the gate is shut: it can't become {target}") as refusal:
        refuse_unless_allowed(MOVES, "gate", Gate.SHUT, target)

    assert refusal.value.code == "illegal-move"


@pytest.mark.parametrize("expected", [None, 4])
def test_a_step_decided_on_this_version_or_on_any_is_allowed(expected: int | None):
    refuse_unless_expected("gate", 4, expected)


@pytest.mark.parametrize("expected", [0, 3, 5])
def test_a_step_decided_on_another_version_is_refused_and_names_the_header(expected: int):
    with pytest.raises(ChangedMeanwhile, match=f"at version 4, you read version {expected}") as no:
        refuse_unless_expected("gate", 4, expected)

    assert (no.value.code, no.value.problems[0].field) == ("changed-meanwhile", "If-Match")
