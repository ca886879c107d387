"""Why a cooperative was alerted of a subject or was not, evaluated as of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from notifications.fanout.domain.fanout_approval import Decision, decision_in_force
from notifications.fanout.domain.subjects import STATE_OF, SubjectState, audience_tracks
from shared.contracts.announcement import Announcement
from shared.contracts.criteria import Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.verdict import Outcome, Verdict


class Because(StrEnum):
    """The one ground of an explanation; `Situation.because` says which one holds."""

    ALERTED = "alerted"
    NOT_IN_AUDIENCE_THEN = "not_in_audience_then"
    OWN_IDEA = "own_idea"
    FOR_ANOTHER = "for_another"
    EXCLUDED = "excluded"
    SUBJECT_NOT_OPEN = "subject_not_open"
    HELD_BACK = "held_back"
    NOT_ALERTED_YET = "not_alerted_yet"


@dataclass(frozen=True)
class ContentVersion:
    """The content of a subject at one version, and when it was received."""

    version: int
    announcement: Announcement
    reference_on: date
    received_at: datetime

    def is_open(self, at: datetime) -> bool:
        """Whether anybody new may be alerted: it is neither over nor void, and before its
        deadline."""
        if STATE_OF[self.announcement.state] is not SubjectState.OPEN:
            return False
        return self._deadline is None or self._deadline > at

    def open_until(self, replaced_at: datetime) -> datetime | None:
        """Until when anybody new could be alerted of it, if newer content replaced it then.

        None: it was not open when it was received.
        """
        if not self.is_open(self.received_at):
            return None
        return replaced_at if self._deadline is None else min(replaced_at, self._deadline)

    @property
    def _deadline(self) -> datetime | None:
        deadline = self.announcement.deadline
        return deadline.at if deadline else None


@dataclass(frozen=True)
class ProfileVersion:
    """The profile of a cooperative at one version."""

    version: int
    profile: Profile


@dataclass(frozen=True)
class Situation:
    """What notifications knew at a moment. `content` and `profile` are None where none had arrived.

    `decisions` are those about the subject and about everything up to that moment, in order.
    """

    cooperative_id: UUID
    at: datetime
    was_alerted: bool
    was_fanned_out: bool
    content: ContentVersion | None
    profile: ProfileVersion | None
    decisions: tuple[Decision, ...] = ()

    def held_back_by(self) -> Decision | None:
        """The decision that kept the fan-out back at that moment; None: nothing did."""
        return decision_in_force(self.decisions)

    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of each track; none where content or profile had not arrived."""
        if self.content is None or self.profile is None:
            return ()
        return tuple(
            evaluate(criteria, self.profile.profile, reference_on=self.content.reference_on)
            for criteria in audience_tracks(self.content.announcement)
        )

    def because(self) -> Because:
        """The first ground that holds.

        An approval keeps nobody back whom a rule excludes: they would not be alerted anyway.
        """
        if self.was_alerted:
            return Because.ALERTED
        if self.content is None:
            return Because.NOT_ALERTED_YET
        if self.profile is None and self.was_fanned_out:
            return Because.NOT_IN_AUDIENCE_THEN
        if not self.content.announcement.concerns(self.cooperative_id):
            is_own = self.content.announcement.belongs_to == self.cooperative_id
            return Because.OWN_IDEA if is_own else Because.FOR_ANOTHER
        if best_of(self.verdicts()) is Outcome.INELIGIBLE:
            return Because.EXCLUDED
        if not self.content.is_open(self.at):
            return Because.SUBJECT_NOT_OPEN
        return Because.HELD_BACK if self.held_back_by() else Because.NOT_ALERTED_YET


def best_of(verdicts: Sequence[Verdict]) -> Outcome | None:
    """The best outcome: eligible, then unknown, then ineligible; None without a verdict."""
    outcomes = {verdict.outcome for verdict in verdicts}
    for outcome in (Outcome.ELIGIBLE, Outcome.UNKNOWN, Outcome.INELIGIBLE):
        if outcome in outcomes:
            return outcome
    return None


def newest_at(contents: Sequence[ContentVersion], at: datetime) -> ContentVersion | None:
    """The content at a moment, the highest version received by then; None: none had been
    received."""
    received = [content for content in contents if content.received_at <= at]
    return max(received, key=lambda content: content.version, default=None)


def decisive_moment(
    contents: Sequence[ContentVersion], *, fanned_out_at: datetime | None, now: datetime
) -> datetime:
    """The moment at which it was settled that a cooperative is not alerted.

    While a subject is open nothing is settled, for each change of a record or of the content is
    matched anew: the present counts. Of a subject that has ended, its end counts, for nothing was
    matched afterwards: its deadline, or when its closing or cancellation was received. What never
    was open was settled when it was first received. It is never before the fan-out.
    """
    turns = _newest_in_turn(contents)
    replaced = [*(content.received_at for content in turns[1:]), now]
    spans = [turn.open_until(until) for turn, until in zip(turns, replaced, strict=True)]
    ends = [end for end in spans if end is not None]
    if not ends:
        return turns[0].received_at
    return max(ends[-1], fanned_out_at or ends[-1])


def _newest_in_turn(contents: Sequence[ContentVersion]) -> list[ContentVersion]:
    """The contents that were the newest when they were received, in that order."""
    turns: list[ContentVersion] = []
    for content in sorted(contents, key=lambda each: each.received_at):
        if not turns or content.version > turns[-1].version:
            turns.append(content)
    return turns
