"""A subject is what people are alerted of; what has to be done follows from its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from shared.contracts.announcement import Announcement
from shared.contracts.base import refuse_version_gap
from shared.contracts.criteria import Criteria, Profile
from shared.eligibility.evaluate import excludes
from shared.errors import Conflict

from .fanout_approval import ApprovalState

FIRST = 0
"""The edition of a first alert. The edition of a correction is the version that it is about."""


class SubjectState(StrEnum):
    """`open`: recipients may be alerted. `over`: nobody new is alerted. `void`: nobody new is
    alerted, and everybody who was is corrected."""

    OPEN = "open"
    OVER = "over"
    VOID = "void"


class AlertKind(StrEnum):
    """What an alert says of its subject."""

    OPENED = "opened"
    PUBLISHED = "published"
    UPDATED = "updated"
    DEADLINE_EXTENDED = "deadline_extended"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


STATE_OF: dict[str, SubjectState] = {
    "open": SubjectState.OPEN,
    "closed": SubjectState.OVER,
    "cancelled": SubjectState.VOID,
    "withdrawn": SubjectState.VOID,
}
"""By the state of an announcement."""


FIRST_ALERTS: dict[str, AlertKind] = {"call": AlertKind.OPENED}
"""What a first alert says, by kind of subject; of any other kind, that it was published."""


def audience_tracks(content: Announcement) -> tuple[Criteria, ...]:
    """The criteria of each track, as they were published."""
    return tuple(track.criteria for track in content.tracks)


def may_concern(tracks: Sequence[Criteria], profile: Profile, *, reference_on: date) -> bool:
    """Whether some track is, or may be, for an entity with this profile."""
    return any(not excludes(criteria, profile, reference_on=reference_on) for criteria in tracks)


@dataclass(frozen=True)
class Step:
    """What must happen now: alert everybody who matches and has no alert, correct those who were
    alerted, both, or nothing."""

    first: AlertKind | None = None
    correction: AlertKind | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing has to be done."""
        return self.first is None and self.correction is None


class OfAnotherService(Conflict):
    """Only the service that first published a subject may publish newer versions of it."""


@dataclass(eq=False, kw_only=True)
class Subject:
    """The newest content that arrived, and the version that recipients were last alerted of."""

    subject_id: UUID
    service: str
    kind: str
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
    addressed_to: UUID | None = None
    missed_matches: bool = False
    """The audience changed after the fan-out, while the subject was held back."""

    @classmethod
    def first_received(cls, published: Announcement) -> Subject:
        """The subject at the first version of it that arrived, which need not be its first."""
        return cls(
            subject_id=published.announcement_id,
            service=published.service,
            kind=published.kind,
            version=published.version,
            state=STATE_OF[published.state],
            content=published.model_dump(mode="json"),
            reference_on=published.reference_on,
            closes_at=published.deadline.at if published.deadline else None,
            addressed_to=published.addressed_to,
        )

    def announcement(self) -> Announcement:
        """The newest content as it was published."""
        return Announcement.model_validate(self.content)

    def learn(self, published: Announcement) -> None:
        """Keep the newest content; an older version that arrives late changes nothing.

        Raises `OfAnotherService` for a subject that another service published, and
        `ImplausibleVersion` for a version that is too far ahead.
        """
        if published.service != self.service:
            raise OfAnotherService
        if published.version <= self.version:
            return
        refuse_version_gap(self.version, published.version)
        self.version = published.version
        self.state = STATE_OF[published.state]
        self.content = published.model_dump(mode="json")
        self.reference_on = published.reference_on
        self.closes_at = published.deadline.at if published.deadline else None

    @property
    def confirmed_audience(self) -> int | None:
        """How many recipients were confirmed before publishing; None where nobody confirmed
        them."""
        return self.announcement().confirmed_audience

    def may_be_alerted(self, at: datetime) -> bool:
        """Whether anybody new may be alerted: it is open and its deadline has not passed."""
        return self.state is SubjectState.OPEN and (self.closes_at is None or self.closes_at > at)

    def note_alerted(self, *, at: datetime, eligible: int, unknown: int, alerted: int) -> None:
        """Everybody concerned has an alert of this version; the counts are added to the earlier
        ones."""
        self.notified_version = self.version
        self.fanned_out_at = self.fanned_out_at or at
        self.eligible += eligible
        self.unknown += unknown
        self.alerted += alerted

    def first_kind(self) -> AlertKind:
        """What the first alert about this subject says."""
        return FIRST_ALERTS.get(self.kind, AlertKind.PUBLISHED)


def decide(
    subject: Subject, notified: Announcement | None, approval: ApprovalState | None, *, at: datetime
) -> Step:
    """What the state of a subject asks for at a moment, whichever event arrived.

    `notified` is the content that recipients were last alerted of.

    - Nobody was alerted yet: everybody who matches is alerted if it is open, else nobody.
    - Recipients were alerted of older content: exactly those are corrected, unless it is over, or
      only a translation was added, which their alert shows from now on. If
      it is open, and the criteria changed or the deadline was moved after it had passed, those who
      match only now are alerted too.
    - A stopped fan-out alerts nobody new. A held one changes nothing here: the step waits.
    """
    step = _step(subject, notified, at)
    return replace(step, first=None) if approval is ApprovalState.STOPPED else step


def _step(subject: Subject, notified: Announcement | None, at: datetime) -> Step:
    first = subject.first_kind() if subject.may_be_alerted(at) else None
    if subject.notified_version is None or notified is None:
        return Step(first=first)
    if subject.notified_version >= subject.version or subject.state is SubjectState.OVER:
        return Step()
    newest = subject.announcement()
    if is_translation(notified, newest):
        return Step()
    is_wider = _audience_changed(notified, newest) or _was_past(notified, at)
    return Step(
        first=first if is_wider else None,
        correction=correction_kind(notified, newest),
    )


def is_translation(notified: Announcement, now: Announcement) -> bool:
    """Whether nothing changed but that texts are there in one more language."""
    changed = changes_between(notified, now).keys()
    return bool(changed) and all(
        name in {"title", "text"}
        and getattr(now, name) == getattr(notified, name).completed_by(getattr(now, name))
        for name in changed
    )


def _audience_changed(notified: Announcement, now: Announcement) -> bool:
    return (
        audience_tracks(notified) != audience_tracks(now)
        or notified.reference_on != now.reference_on
    )


def _was_past(notified: Announcement, at: datetime) -> bool:
    """The deadline that recipients know has passed, so nobody who came to match since was
    alerted."""
    return notified.deadline is not None and notified.deadline.at <= at


def correction_kind(notified: Announcement, now: Announcement) -> AlertKind:
    """What a correction says of the change from what recipients know to the newest content."""
    if now.state == "cancelled":
        return AlertKind.CANCELLED
    if now.state == "withdrawn":
        return AlertKind.WITHDRAWN
    before, after = notified.deadline, now.deadline
    if before and after and after.at > before.at:
        return AlertKind.DEADLINE_EXTENDED
    return AlertKind.UPDATED


NOT_COMPARED = frozenset(
    {
        "announcement_id",
        "service",
        "kind",
        "version",
        "reason",
        "details",
        "confirmed_audience",
        "belongs_to",
        "addressed_to",
        "owner_partner",
        "owner_ids",
    }
)
"""Fields whose changes readers are not shown; details are compared one by one."""


def changes_between(notified: Announcement, now: Announcement) -> dict[str, tuple[object, object]]:
    """Each field and detail that differs, with its old and new value, except `NOT_COMPARED`."""
    before, after = _compared_fields(notified), _compared_fields(now)
    return {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys([*after, *before])
        if before.get(name) != after.get(name)
    }


def _compared_fields(content: Announcement) -> dict[str, object]:
    data = content.model_dump(mode="json")
    details = {each["code"]: each["value"] for each in data["details"]}
    return {name: value for name, value in data.items() if name not in NOT_COMPARED} | details
