"""The approval of a fan-out: while it is held nobody is alerted, or corrected.

A person decides it; or notifications does by itself, where more would be alerted than were
confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.errors import Conflict
from shared.lifecycle import refuse_unless_allowed

EVERYTHING = UUID(int=0)
"""The approval of this id is that of every fan-out."""


class ApprovalState(StrEnum):
    """`held`: what arrives is kept, nobody is alerted or corrected. `stopped`: nobody new ever is.

    Whoever was alerted before a stop gets every correction: a call that was wrong is soon
    cancelled.
    """

    HELD = "held"
    RELEASED = "released"
    STOPPED = "stopped"


MOVES: dict[ApprovalState, set[ApprovalState]] = {
    ApprovalState.HELD: {ApprovalState.RELEASED, ApprovalState.STOPPED},
    ApprovalState.RELEASED: {ApprovalState.HELD, ApprovalState.STOPPED},
    ApprovalState.STOPPED: set(),
}


class StopsOneOnly(Conflict):
    """Everything can be held and released; only a single subject can be stopped for good."""


@dataclass(eq=False, kw_only=True)
class FanoutApproval:
    """What was decided about one fan-out, or about all. No `decided_by`: by notifications."""

    subject_id: UUID
    state: ApprovalState
    reason: str
    decided_by: UUID | None
    decided_at: datetime

    @property
    def is_automatic(self) -> bool:
        """Whether notifications decided it by itself; what a person decided it leaves alone."""
        return self.decided_by is None

    def decide(self, target: ApprovalState, *, reason: str, by: UUID | None, at: datetime) -> None:
        """Move to another state; who, when and why are kept, the history has those before.

        What notifications held by itself a person can hold again: the approval is that person's
        then.
        """
        if target is ApprovalState.STOPPED and self.subject_id == EVERYTHING:
            raise StopsOneOnly
        takes_over = (
            self.is_automatic and by is not None and target is self.state is ApprovalState.HELD
        )
        if not takes_over:
            refuse_unless_allowed(MOVES, "fan-out", self.state, target)
        self.state = target
        self.reason = reason
        self.decided_by = by
        self.decided_at = at


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a fan-out; without `decided_by` notifications did by itself."""

    everything: bool
    state: ApprovalState
    reason: str
    decided_by: UUID | None
    decided_at: datetime


def decision_in_force(decisions: Sequence[Decision]) -> Decision | None:
    """Of decisions in order the one that keeps back; a stop counts more than being held."""
    last = {decision.everything: decision for decision in decisions}
    kept = [found for found in last.values() if found.state is not ApprovalState.RELEASED]
    return min(kept, key=lambda d: (d.state is ApprovalState.HELD, d.everything), default=None)
