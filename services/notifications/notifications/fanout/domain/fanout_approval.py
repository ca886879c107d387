"""The approval of a fan-out: while it is held nobody is alerted or corrected.

A person decides; or notifications does by itself, where more would be alerted than were confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from shared.errors import Conflict, Invalid
from shared.lifecycle import refuse_unless_allowed, refuse_unless_expected

EVERYTHING = uuid5(NAMESPACE_URL, "urn:taawon:every-fan-out")
"""Under this id the decisions about every fan-out are stored and audited. Nobody decides by it:
a decision about everything says so."""


class ApprovalState(StrEnum):
    """`held`: what arrives is kept; nobody is alerted or corrected until it is `released`.

    `stopped`: nobody new is ever alerted. Whoever was alerted before still gets every correction,
    for a call that was wrong is soon cancelled.
    """

    HELD = "held"
    RELEASED = "released"
    STOPPED = "stopped"


MOVES: dict[ApprovalState, set[ApprovalState]] = {
    ApprovalState.HELD: {ApprovalState.RELEASED, ApprovalState.STOPPED},
    ApprovalState.RELEASED: {ApprovalState.HELD, ApprovalState.STOPPED},
    ApprovalState.STOPPED: set(),
}


class MeansEverything(Invalid):
    """This is the id of the decisions about every fan-out: hold or release all of them with
    PUT /approval, or one of them by its own id.
    """


class StopsOneOnly(Conflict):
    """Everything can be held and released, but only the fan-out of one subject can be stopped."""


@dataclass(eq=False, kw_only=True)
class FanoutApproval:
    """The last decision about one fan-out, or about all; `decided_by` is None where notifications
    decided by itself. `version` grows by one with every decision; where nobody decided yet it is 0.
    """

    subject_id: UUID
    state: ApprovalState
    reason: str
    decided_by: UUID | None
    decided_at: datetime
    version: int = 1

    @property
    def is_automatic(self) -> bool:
        """Whether notifications decided it by itself. It never changes what a person decided."""
        return self.decided_by is None

    def decide(self, target: ApprovalState, *, reason: str, by: UUID | None, at: datetime) -> None:
        """Move to another state, and keep who decided it, when and why.

        Raises `IllegalMove` for a move that `MOVES` lacks, and `StopsOneOnly` for a stop of
        everything. A person may hold again what notifications held by itself: from then on it is
        that person's decision.
        """
        if target is ApprovalState.STOPPED and self.subject_id == EVERYTHING:
            raise StopsOneOnly
        takes_over = (
            self.is_automatic and by is not None and target is self.state is ApprovalState.HELD
        )
        if not takes_over:
            refuse_unless_allowed(MOVES, "fan-out", self.state, target)
        self.state = target
        self.decided_by = by
        self.give_reason(reason, at=at)

    def give_reason(self, reason: str, *, at: datetime) -> None:
        """Keep another reason for the same state, as a decision of its own."""
        self.reason = reason
        self.decided_at = at
        self.version += 1


def expect_version(found: FanoutApproval | None, version: int | None) -> None:
    """Raise ChangedMeanwhile if a decision was made on another version; None is no condition."""
    refuse_unless_expected("fan-out approval", found.version if found else 0, version)


@dataclass(frozen=True)
class Decision:
    """One decision in the history; `decided_by` is None where notifications decided by itself.

    `everything`: it concerns every fan-out.
    """

    everything: bool
    state: ApprovalState
    reason: str
    decided_by: UUID | None
    decided_at: datetime


def decision_in_force(decisions: Sequence[Decision]) -> Decision | None:
    """The decision that keeps the fan-out back, of all about it in their order; None: nothing does.

    A stop counts more than a hold, and a hold of this fan-out more than one of everything.
    """
    last = {decision.everything: decision for decision in decisions}
    in_force = [each for each in last.values() if each.state is not ApprovalState.RELEASED]
    return min(in_force, key=lambda d: (d.state is ApprovalState.HELD, d.everything), default=None)
