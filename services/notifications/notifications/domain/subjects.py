"""A subject is an idea or a call as notifications knows it; what to do follows from its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from shared.contracts.base import refuse_leap
from shared.contracts.criteria import Criteria, Facts, LegalStatus
from shared.contracts.funding import (
    CallCancelled,
    CallClosed,
    CallDeadlineExtended,
    CallOpened,
    CallSnapshot,
    CallUpdated,
)
from shared.contracts.ideas import IdeaPublished, IdeaSnapshot, IdeaWithdrawn
from shared.eligibility import excludes

from .fanout_approval import ApprovalState

CallEvent: TypeAlias = CallOpened | CallUpdated | CallDeadlineExtended | CallClosed | CallCancelled
IdeaEvent: TypeAlias = IdeaPublished | IdeaWithdrawn
Snapshot: TypeAlias = CallSnapshot | IdeaSnapshot

FIRST = 0
"""Edition of the first alert; a correction has the version of its content."""


class SubjectKind(StrEnum):
    CALL = "call"
    IDEA = "idea"


class SubjectState(StrEnum):
    """`open`: recipients may be alerted. `over`: nobody new is. `void`: those alerted must know."""

    OPEN = "open"
    OVER = "over"
    VOID = "void"


class AlertKind(StrEnum):
    """What an alert says."""

    OPENED = "opened"
    PUBLISHED = "published"
    UPDATED = "updated"
    DEADLINE_EXTENDED = "deadline_extended"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


STATE_OF: dict[str, SubjectState] = {
    "open": SubjectState.OPEN,
    "published": SubjectState.OPEN,
    "closed": SubjectState.OVER,
    "cancelled": SubjectState.VOID,
    "withdrawn": SubjectState.VOID,
}


@dataclass(frozen=True)
class SubjectContent:
    """A subject at one version, whichever event brought it: every event carries the whole."""

    subject_id: UUID
    kind: SubjectKind
    version: int
    state: SubjectState
    snapshot: Snapshot
    reference_on: date
    closes_at: datetime | None
    reason: str | None = None


def content_of(event: CallEvent | IdeaEvent) -> SubjectContent:
    """What a fact says of its subject."""
    if isinstance(event, IdeaPublished | IdeaWithdrawn):
        idea = event.idea
        return SubjectContent(
            subject_id=idea.idea_id,
            kind=SubjectKind.IDEA,
            version=idea.version,
            state=STATE_OF[idea.state],
            snapshot=idea,
            reference_on=(idea.published_at or event.occurred_at).date(),
            closes_at=None,
            reason=event.reason if isinstance(event, IdeaWithdrawn) else None,
        )
    call = event.call
    return SubjectContent(
        subject_id=call.call_id,
        kind=SubjectKind.CALL,
        version=call.version,
        state=STATE_OF[call.state],
        snapshot=call,
        reference_on=call.reference_on,
        closes_at=call.deadline.at if call.deadline else None,
        reason=event.reason if isinstance(event, CallDeadlineExtended | CallCancelled) else None,
    )


def audience_tracks(content: Snapshot) -> tuple[Criteria, ...]:
    """Whom each track is for. Entities that are no longer registered are alerted of nothing.

    An idea has one track: its territory and sectors.
    """
    if isinstance(content, IdeaSnapshot):
        tracks: tuple[Criteria, ...] = (
            Criteria(regions=content.regions, provinces=content.provinces, sectors=content.sectors),
        )
    else:
        tracks = tuple(track.criteria for track in content.tracks)
    return tuple(registered_only(criteria) for criteria in tracks)


def may_concern(tracks: Sequence[Criteria], facts: Facts, *, reference_on: date) -> bool:
    """Whether some track is for an entity of which this is known, or may be."""
    return any(not excludes(criteria, facts, reference_on=reference_on) for criteria in tracks)


def registered_only(criteria: Criteria) -> Criteria:
    """The same criteria, for registered entities where they name no legal status."""
    if criteria.legal_statuses:
        return criteria
    return criteria.model_copy(update={"legal_statuses": (LegalStatus.REGISTERED,)})


@dataclass(frozen=True)
class Step:
    """What must happen now: alert everybody who matches and has no alert, or correct."""

    first: AlertKind | None = None
    correction: AlertKind | None = None

    @property
    def is_nothing(self) -> bool:
        return self.first is None and self.correction is None


@dataclass(eq=False, kw_only=True)
class Subject:
    """The newest content that arrived, and the version that recipients were last alerted of."""

    subject_id: UUID
    kind: SubjectKind
    version: int
    state: SubjectState
    content: dict[str, object]
    reference_on: date
    closes_at: datetime | None
    notified_version: int | None = None
    fanned_out_at: datetime | None = None
    eligible: int = 0
    unknown: int = 0
    alerted: int = 0
    missed_matches: bool = False
    """Cooperatives came to match after the fan-out, while it was held back."""

    @classmethod
    def first_received(cls, content: SubjectContent) -> Subject:
        return cls(
            subject_id=content.subject_id,
            kind=content.kind,
            version=content.version,
            state=content.state,
            content=content.snapshot.model_dump(mode="json"),
            reference_on=content.reference_on,
            closes_at=content.closes_at,
        )

    def snapshot(self) -> Snapshot:
        """The newest content as it was announced."""
        if self.kind is SubjectKind.CALL:
            return CallSnapshot.model_validate(self.content)
        return IdeaSnapshot.model_validate(self.content)

    def learn(self, content: SubjectContent) -> None:
        """Keep the newest content; what arrives late changes nothing, what leaps is refused."""
        if content.version <= self.version:
            return
        refuse_leap(self.version, content.version)
        self.version = content.version
        self.state = content.state
        self.content = content.snapshot.model_dump(mode="json")
        self.reference_on = content.reference_on
        self.closes_at = content.closes_at

    @property
    def confirmed_audience(self) -> int | None:
        """How many recipients were seen before publishing, if whoever published said so."""
        return self.snapshot().confirmed_audience

    def may_be_alerted(self, at: datetime) -> bool:
        """Whether anybody new may be alerted: it is open, and its deadline has not passed."""
        return self.state is SubjectState.OPEN and (self.closes_at is None or self.closes_at > at)

    def note_alerted(self, *, at: datetime, eligible: int, unknown: int, alerted: int) -> None:
        """Everybody concerned has an alert of this version; the counts add up over fan-outs."""
        self.notified_version = self.version
        self.fanned_out_at = self.fanned_out_at or at
        self.eligible += eligible
        self.unknown += unknown
        self.alerted += alerted

    def first_kind(self) -> AlertKind:
        """What the first alert about this subject says."""
        return AlertKind.OPENED if self.kind is SubjectKind.CALL else AlertKind.PUBLISHED


def decide(
    subject: Subject, notified: Snapshot | None, approval: ApprovalState | None, *, at: datetime
) -> Step:
    """What the state of a subject asks for at a moment, whichever fact arrived.

    `notified` is the content that recipients were last alerted of. Nobody was alerted yet: if it is
    open, everybody who matches is, else nobody. Recipients were alerted of older content: exactly
    those are corrected; and where the criteria changed, or a moved deadline opens it anew, those
    who match only now are alerted too while it is open. Of a fan-out that is stopped nobody new is
    alerted; that it is held changes nothing here: the step waits.
    """
    step = _step(subject, notified, at)
    return replace(step, first=None) if approval is ApprovalState.STOPPED else step


def _step(subject: Subject, notified: Snapshot | None, at: datetime) -> Step:
    first = subject.first_kind() if subject.may_be_alerted(at) else None
    if subject.notified_version is None or notified is None:
        return Step(first=first)
    if subject.notified_version >= subject.version or subject.state is SubjectState.OVER:
        return Step()
    newest = subject.snapshot()
    is_wider = _audience_changed(notified, newest) or _was_past(notified, at)
    return Step(
        first=first if is_wider else None,
        correction=correction_kind(notified, newest),
    )


def _audience_changed(notified: Snapshot, now: Snapshot) -> bool:
    if audience_tracks(notified) != audience_tracks(now):
        return True
    return (
        isinstance(notified, CallSnapshot)
        and isinstance(now, CallSnapshot)
        and notified.reference_on != now.reference_on
    )


def _was_past(notified: Snapshot, at: datetime) -> bool:
    """Its deadline had passed, so nobody who came to match since was alerted."""
    return (
        isinstance(notified, CallSnapshot)
        and notified.deadline is not None
        and notified.deadline.at <= at
    )


def correction_kind(notified: Snapshot, now: Snapshot) -> AlertKind:
    """What to call the difference between what people were told and what is so now."""
    if now.state == "cancelled":
        return AlertKind.CANCELLED
    if now.state == "withdrawn":
        return AlertKind.WITHDRAWN
    if isinstance(notified, CallSnapshot) and isinstance(now, CallSnapshot):
        before, after = notified.deadline, now.deadline
        if before and after and after.at > before.at:
            return AlertKind.DEADLINE_EXTENDED
    return AlertKind.UPDATED


UNSAID = frozenset({"version", "opened_at", "published_at", "confirmed_audience"})


def changes_between(notified: Snapshot, now: Snapshot) -> dict[str, tuple[object, object]]:
    """Each field that differs, with its old and new value; what readers are not told left out."""
    before, after = notified.model_dump(mode="json"), now.model_dump(mode="json")
    return {
        name: (before.get(name), value)
        for name, value in after.items()
        if name not in UNSAID and before.get(name) != value
    }
