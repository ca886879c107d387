"""Why a cooperative was told of a subject or was not, judged as of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.contracts.criteria import Facts
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaSnapshot
from shared.eligibility import Outcome, Verdict, evaluate

from .holds import HoldState
from .subjects import STATE_OF, Snapshot, SubjectKind, SubjectState, audience_tracks


class Because(StrEnum):
    """The one ground of an answer; the first that holds, in this order."""

    TOLD = "told"
    HELD_BACK = "held_back"
    NOT_TOLD_YET = "not_told_yet"
    SUBJECT_NOT_OPEN = "subject_not_open"
    NOT_IN_AUDIENCE_THEN = "not_in_audience_then"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class ContentThen:
    """A subject at the version that was the newest at a moment."""

    version: int
    snapshot: Snapshot
    reference_on: date

    def is_open(self, at: datetime) -> bool:
        """Whether anybody may still be told: neither void nor over, the deadline to come."""
        if STATE_OF[self.snapshot.state] is not SubjectState.OPEN:
            return False
        deadline = self.snapshot.deadline if isinstance(self.snapshot, CallSnapshot) else None
        return deadline is None or deadline.at > at


@dataclass(frozen=True)
class FactsThen:
    """A cooperative at the version that was the newest at a moment."""

    version: int
    facts: Facts


@dataclass(frozen=True)
class Decision:
    """What somebody decided about telling; without `decided_by` notifications did by itself."""

    everything: bool
    state: HoldState
    reason: str
    decided_by: UUID | None
    decided_at: datetime


def standing(decisions: Sequence[Decision]) -> Decision | None:
    """Of decisions in order the one that keeps back; a stop counts more than a hold."""
    last = {decision.everything: decision for decision in decisions}
    kept = [found for found in last.values() if found.state is not HoldState.RELEASED]
    return min(kept, key=lambda d: (d.state is HoldState.HELD, d.everything), default=None)


@dataclass(frozen=True)
class Then:
    """What was so at a moment. None: it had not been heard of.

    `decisions` are those about the subject and about everything up to then, in order.
    """

    at: datetime
    was_told: bool
    was_fanned_out: bool
    content: ContentThen | None
    facts: FactsThen | None
    decisions: tuple[Decision, ...] = ()

    def kept_back_by(self) -> Decision | None:
        """What kept the telling back then."""
        return standing(self.decisions)

    def verdicts(self) -> tuple[Verdict, ...]:
        """How each track came out; none where content or facts had not been heard of."""
        if self.content is None or self.facts is None:
            return ()
        return tuple(
            evaluate(criteria, self.facts.facts, reference_on=self.content.reference_on)
            for criteria in audience_tracks(self.content.snapshot)
        )

    def because(self) -> Because:
        """The ground: what happened first, then what would have kept it from happening."""
        if self.was_told:
            return Because.TOLD
        if self.content is None:
            return Because.NOT_TOLD_YET
        waiting = self._waiting(self.content)
        if not self.was_fanned_out:
            return waiting
        if self.facts is None:
            return Because.NOT_IN_AUDIENCE_THEN
        if best_of(self.verdicts()) is Outcome.INELIGIBLE:
            return Because.EXCLUDED
        return waiting

    def _waiting(self, content: ContentThen) -> Because:
        if not content.is_open(self.at):
            return Because.SUBJECT_NOT_OPEN
        return Because.HELD_BACK if self.kept_back_by() else Because.NOT_TOLD_YET


def snapshot_of(kind: SubjectKind, content: Any) -> Snapshot:
    """The kept content of a version as it was announced."""
    model: type[Snapshot] = CallSnapshot if kind == SubjectKind.CALL else IdeaSnapshot
    return model.model_validate(content)


def best_of(verdicts: Sequence[Verdict]) -> Outcome | None:
    """One open track is enough; one that a missing field may open comes next."""
    outcomes = {verdict.outcome for verdict in verdicts}
    for outcome in (Outcome.ELIGIBLE, Outcome.UNKNOWN, Outcome.INELIGIBLE):
        if outcome in outcomes:
            return outcome
    return None


def decisive_moment(
    *, fanned_out_at: datetime | None, came_at: datetime, came_while_open: bool, now: datetime
) -> datetime:
    """When it was settled that a cooperative is not told.

    At the fan-out, unless the cooperative came later while the subject was open: then it is matched
    anew with each change of its record, and the newest counts.
    """
    if fanned_out_at is None:
        return now
    if came_at > fanned_out_at and came_while_open:
        return now
    return fanned_out_at
