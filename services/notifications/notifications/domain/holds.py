"""A hold keeps a fan-out back: nobody is told, or corrected, until a person lets it go.

A person decides it; or notifications does by itself, where more would be told than was confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.errors import Conflict
from shared.lifecycle import refuse_unless_allowed

EVERYTHING = UUID(int=0)
"""The hold of this id keeps back every subject."""


class HoldState(StrEnum):
    """`held`: what arrives is learned, nobody is told or corrected. `stopped`: nobody new ever is.

    Whoever was told before a stop hears of every change: a call that was wrong is soon cancelled.
    """

    HELD = "held"
    RELEASED = "released"
    STOPPED = "stopped"


MOVES: dict[HoldState, set[HoldState]] = {
    HoldState.HELD: {HoldState.RELEASED, HoldState.STOPPED},
    HoldState.RELEASED: {HoldState.HELD, HoldState.STOPPED},
    HoldState.STOPPED: set(),
}


class StopsOneOnly(Conflict):
    """Everything can be held and released; only a single subject can be stopped for good."""


@dataclass(eq=False, kw_only=True)
class Hold:
    """What was decided about telling one subject, or all. No `decided_by`: by notifications."""

    subject_id: UUID
    state: HoldState
    reason: str
    decided_by: UUID | None
    decided_at: datetime

    @property
    def is_own(self) -> bool:
        """Whether notifications decided it by itself; what a person decided it leaves alone."""
        return self.decided_by is None

    def decide(self, target: HoldState, *, reason: str, by: UUID | None, at: datetime) -> None:
        """Move to another state; who, when and why are kept, the history has those before.

        What notifications held by itself a person can hold again: the hold is that person's then.
        """
        if target is HoldState.STOPPED and self.subject_id == EVERYTHING:
            raise StopsOneOnly
        takes_over = self.is_own and by is not None and target is self.state is HoldState.HELD
        if not takes_over:
            refuse_unless_allowed(MOVES, "fan-out", self.state, target)
        self.state = target
        self.reason = reason
        self.decided_by = by
        self.decided_at = at
