"""What every lifecycle shares: the table of its moves, and the version that a caller has read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

from .errors import ChangedMeanwhile, IllegalMove

State = TypeVar("State", bound=StrEnum)


def refuse_unless_allowed(
    moves: Mapping[State, Collection[State]], what: str, current: State, target: State
) -> None:
    """Refuse a move that the table does not have with `IllegalMove`; `what` names the thing."""
    if target not in moves[current]:
        raise IllegalMove(f"the {what} is {current}: it can't become {target}")


def refuse_unless_expected(what: str, current: int, expected: int | None) -> None:
    """Refuse a step that was decided on another version with `ChangedMeanwhile`; None fits any."""
    if expected is not None and expected != current:
        raise ChangedMeanwhile(
            f"the {what} is at version {current}, you read version {expected}:"
            " read it again, then repeat the step",
            field="If-Match",
        )
