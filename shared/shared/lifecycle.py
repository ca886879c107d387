"""Rules that every lifecycle shares: allowed moves, and the version that a caller has read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

from shared.sentences import Sentence

from .errors import ChangedMeanwhile, IllegalMove

State = TypeVar("State", bound=StrEnum)


def refuse_unless_allowed(
    moves: Mapping[State, Collection[State]], what: str, current: State, target: State
) -> None:
    """Raise `IllegalMove` for a move that the table does not have; `what` names the thing."""
    if target not in moves[current]:
        raise IllegalMove(
            Sentence(
                "the {what} is {current}: it can't become {target}",
                what=Sentence(what),
                current=Sentence(current),
                target=Sentence(target),
            )
        )


def refuse_unless_expected(what: str, current: int, expected: int | None) -> None:
    """Raise `ChangedMeanwhile` for a step decided on another version; `expected` None fits any."""
    if expected is not None and expected != current:
        raise ChangedMeanwhile(
            Sentence(
                "the {what} is at version {current}, you read version {expected}: read it again,"
                " then repeat the step",
                what=Sentence(what),
                current=current,
                expected=expected,
            ),
            field="If-Match",
        )
