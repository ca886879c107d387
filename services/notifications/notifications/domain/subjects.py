"""A subject is an idea or a call as notifications knows it; what to do follows from its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

CallEvent: TypeAlias = CallOpened | CallUpdated | CallDeadlineExtended | CallClosed | CallCancelled
IdeaEvent: TypeAlias = IdeaPublished | IdeaWithdrawn
Snapshot: TypeAlias = CallSnapshot | IdeaSnapshot

FIRST = 0
"""Edition of the first alert; a correction has the version of the content that it tells."""


class SubjectKind(StrEnum):
    CALL = "call"
    IDEA = "idea"


class SubjectState(StrEnum):
    """`open`: people may be told. `over`: nobody new is told. `void`: those told must hear it."""

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
class News:
    """A subject at one version, whichever fact brought it: every fact carries the whole."""

    subject_id: UUID
    kind: SubjectKind
    version: int
    state: SubjectState
    content: Snapshot
    reference_on: date
    closes_at: datetime | None
    reason: str | None = None


def news_of(event: CallEvent | IdeaEvent) -> News:
    """What a fact says of its subject."""
    if isinstance(event, IdeaPublished | IdeaWithdrawn):
        idea = event.idea
        return News(
            subject_id=idea.idea_id,
            kind=SubjectKind.IDEA,
            version=idea.version,
            state=STATE_OF[idea.state],
            content=idea,
            reference_on=(idea.published_at or event.occurred_at).date(),
            closes_at=None,
            reason=event.reason if isinstance(event, IdeaWithdrawn) else None,
        )
    call = event.call
    return News(
        subject_id=call.call_id,
        kind=SubjectKind.CALL,
        version=call.version,
        state=STATE_OF[call.state],
        content=call,
        reference_on=call.reference_on,
        closes_at=call.deadline.at if call.deadline else None,
        reason=event.reason if isinstance(event, CallDeadlineExtended | CallCancelled) else None,
    )


def audience_tracks(content: Snapshot) -> tuple[Criteria, ...]:
    """Whom each track is for. Entities that are no longer registered are told of nothing.

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
    """What must happen now: tell everybody who matches for the first time, or correct."""

    first: AlertKind | None = None
    correction: AlertKind | None = None

    @property
    def is_nothing(self) -> bool:
        return self.first is None and self.correction is None


@dataclass(eq=False, kw_only=True)
class Subject:
    """The newest content that arrived, and which version people were told last."""

    subject_id: UUID
    kind: SubjectKind
    version: int
    state: SubjectState
    content: dict[str, object]
    reference_on: date
    closes_at: datetime | None
    told_version: int | None = None
    fanned_out_at: datetime | None = None
    eligible: int = 0
    unknown: int = 0
    alerted: int = 0
    missed_matches: bool = False
    """Cooperatives came to match after it was told, while it was held back."""

    @classmethod
    def first_heard(cls, news: News) -> Subject:
        return cls(
            subject_id=news.subject_id,
            kind=news.kind,
            version=news.version,
            state=news.state,
            content=news.content.model_dump(mode="json"),
            reference_on=news.reference_on,
            closes_at=news.closes_at,
        )

    def snapshot(self) -> Snapshot:
        """The newest content as it was announced."""
        if self.kind is SubjectKind.CALL:
            return CallSnapshot.model_validate(self.content)
        return IdeaSnapshot.model_validate(self.content)

    def learn(self, news: News) -> None:
        """Keep the newest content; what arrives late changes nothing, what leaps is refused."""
        if news.version <= self.version:
            return
        refuse_leap(self.version, news.version)
        self.version = news.version
        self.state = news.state
        self.content = news.content.model_dump(mode="json")
        self.reference_on = news.reference_on
        self.closes_at = news.closes_at

    @property
    def confirmed_audience(self) -> int | None:
        """How many recipients were seen before publishing, if whoever published said so."""
        return self.snapshot().confirmed_audience

    def may_be_told(self, at: datetime) -> bool:
        """Whether anybody new may hear of it: it is open, and its deadline has not passed."""
        return self.state is SubjectState.OPEN and (self.closes_at is None or self.closes_at > at)

    def next_step(self, told: Snapshot | None, *, at: datetime) -> Step:
        """What follows from the state at a moment, not from the fact that arrived.

        Never told: what may be told is told to everybody who matches, all else to nobody. Told
        before: whoever was told older content is corrected. Where the criteria changed, or a moved
        deadline opens it anew, those who match only now are told too while it may be told. `told`
        is the content told last.
        """
        if self.told_version is None or told is None:
            return Step(first=self.first_kind()) if self.may_be_told(at) else Step()
        if self.told_version >= self.version or self.state is SubjectState.OVER:
            return Step()
        newest = self.snapshot()
        is_wider = _audience_changed(told, newest) or _was_past(told, at)
        return Step(
            first=self.first_kind() if is_wider and self.may_be_told(at) else None,
            correction=correction_kind(told, newest),
        )

    def note_told(self, *, at: datetime, eligible: int, unknown: int, alerted: int) -> None:
        """Everybody concerned has an alert of this version; the counts add up over fan-outs."""
        self.told_version = self.version
        self.fanned_out_at = self.fanned_out_at or at
        self.eligible += eligible
        self.unknown += unknown
        self.alerted += alerted

    def first_kind(self) -> AlertKind:
        """What the first alert about this subject says."""
        return AlertKind.OPENED if self.kind is SubjectKind.CALL else AlertKind.PUBLISHED


def _audience_changed(told: Snapshot, now: Snapshot) -> bool:
    if audience_tracks(told) != audience_tracks(now):
        return True
    return (
        isinstance(told, CallSnapshot)
        and isinstance(now, CallSnapshot)
        and told.reference_on != now.reference_on
    )


def _was_past(told: Snapshot, at: datetime) -> bool:
    """Its deadline had passed, so nobody who came to match since was told."""
    return isinstance(told, CallSnapshot) and told.deadline is not None and told.deadline.at <= at


def correction_kind(told: Snapshot, now: Snapshot) -> AlertKind:
    """What to call the difference between what people were told and what is so now."""
    if now.state == "cancelled":
        return AlertKind.CANCELLED
    if now.state == "withdrawn":
        return AlertKind.WITHDRAWN
    if isinstance(told, CallSnapshot) and isinstance(now, CallSnapshot):
        before, after = told.deadline, now.deadline
        if before and after and after.at > before.at:
            return AlertKind.DEADLINE_EXTENDED
    return AlertKind.UPDATED


UNSAID = frozenset({"version", "opened_at", "published_at", "confirmed_audience"})


def changes_between(told: Snapshot, now: Snapshot) -> dict[str, tuple[object, object]]:
    """Each field that differs, with its old and new value; what readers are not told left out."""
    before, after = told.model_dump(mode="json"), now.model_dump(mode="json")
    return {
        name: (before.get(name), value)
        for name, value in after.items()
        if name not in UNSAID and before.get(name) != value
    }
