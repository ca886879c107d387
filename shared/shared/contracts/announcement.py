"""What people are alerted about, whatever its kind and whichever service publishes it.

A service that wants people alerted declares its own event beside its others and publishes it:

    class SessionPublished(AnnouncementPublished):
        topic: ClassVar[str] = "programmes.announcement.published.v1"

Notifications consumes `*.announcement.published.v1`, so it takes a new service or a new kind
without a change. The broker lets each service write topics of its own prefix only.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from shared.sentences import Sentence

from .base import (
    MOST_EVENT_BYTES,
    PUBLIC,
    Audience,
    Contract,
    Event,
    Id,
    Localized,
    LocalizedLong,
    PartlyLocalized,
    PartlyLocalizedLong,
    Text,
    Version,
)
from .criteria import Criteria
from .deadline import Deadline
from .numbers import Exact

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A name for programs: small letters, digits and underscores, at most 40."""

AnnouncementState = Literal["open", "closed", "cancelled", "withdrawn"]
"""`open`: whoever matches is alerted. `closed`: nobody new is. `cancelled` and `withdrawn`: whoever
was alerted gets a correction."""

MOST_DETAILS = 32
MOST_ANNOUNCEMENT_BYTES = MOST_EVENT_BYTES - 4096
"""Of an announcement as JSON: the rest of its event takes less than is left."""


class Detail(Contract):
    """One more thing that readers are shown: `label` names it, `shown` is its value in words.

    Without `label` or `shown` a reader sees the words that notifications has for the code or the
    value; where it has none, the code or the value itself.
    """

    code: Code = Field(json_schema_extra=PUBLIC)
    value: Exact | Text | tuple[Exact, ...] | tuple[Text, ...] = Field(json_schema_extra=PUBLIC)
    label: Localized | None = Field(default=None, json_schema_extra=PUBLIC)
    shown: LocalizedLong | None = Field(default=None, json_schema_extra=PUBLIC)


class AnnouncementTrack(Contract):
    """One way in: whom it is for, and what it gives. Without a name it is the only one."""

    name: Localized | None = Field(default=None, json_schema_extra=PUBLIC)
    criteria: Criteria = Field(json_schema_extra=PUBLIC)
    details: tuple[Detail, ...] = Field(
        default=(), max_length=MOST_DETAILS, json_schema_extra=PUBLIC
    )


class Announcement(Contract):
    """Something that people are alerted about, whole, at one version; less than 1 MiB as JSON.

    `reference_on` is the day on which ages of entities are measured.
    """

    announcement_id: Id = Field(json_schema_extra=PUBLIC)
    service: Code = Field(
        json_schema_extra=PUBLIC, description="The only service that publishes it."
    )
    kind: Code = Field(json_schema_extra=PUBLIC, description="Such as session, meeting, cohort.")
    version: Version = Field(json_schema_extra=PUBLIC)
    state: AnnouncementState = Field(json_schema_extra=PUBLIC)
    title: PartlyLocalized = Field(json_schema_extra=PUBLIC)
    text: PartlyLocalizedLong = Field(json_schema_extra=PUBLIC)
    tracks: tuple[AnnouncementTrack, ...] = Field(
        min_length=1, max_length=16, json_schema_extra=PUBLIC
    )
    reference_on: date = Field(json_schema_extra=PUBLIC)
    starts_at: AwareDatetime | None = Field(default=None, json_schema_extra=PUBLIC)
    deadline: Deadline | None = Field(
        default=None,
        json_schema_extra=PUBLIC,
        description="When it closes: nobody new is alerted after it. None: when its state says so.",
    )
    url: Text | None = Field(
        default=None, pattern=r"^https://", json_schema_extra=PUBLIC, description="Its public page."
    )
    details: tuple[Detail, ...] = Field(
        default=(), max_length=MOST_DETAILS, json_schema_extra=PUBLIC
    )
    reason: Text | None = Field(
        default=None,
        json_schema_extra=PUBLIC,
        description="Why it changed, for those who were alerted.",
    )
    confirmed_audience: Audience | None = Field(
        default=None,
        description="How many recipients the publisher saw and confirmed; null: nobody confirmed.",
    )
    owner_partner: str | None = Field(
        default=None,
        max_length=40,
        description="Slug of the institution that may read what became of its alerts.",
    )
    owner_ids: tuple[Id, ...] = Field(
        default=(),
        max_length=8,
        description="Accounts and cooperatives that may read what became of its alerts.",
    )

    belongs_to: Id | None = Field(
        default=None,
        description="Whose it is: this cooperative is not alerted of what is its own.",
    )
    addressed_to: Id | None = Field(
        default=None,
        description="The cooperative that alone is alerted, whatever its profile; null: all.",
    )

    def concerns(self, cooperative_id: UUID) -> bool:
        """Whether this cooperative may be alerted, whatever the criteria say."""
        return self.belongs_to != cooperative_id and self.addressed_to in {None, cooperative_id}

    @model_validator(mode="after")
    def _fits_into_an_event(self) -> Self:
        # Each text alone may be long; all of them together are more than any event carries.
        if (size := len(self.model_dump_json().encode())) > MOST_ANNOUNCEMENT_BYTES:
            raise ValueError(
                Sentence(
                    "the announcement has {size} bytes and may have {most}: shorten its texts,"
                    " or give fewer details",
                    size=size,
                    most=MOST_ANNOUNCEMENT_BYTES,
                )
            )
        return self

    def detail(self, code: str) -> Detail | None:
        """The detail of this code, where there is one."""
        return next((each for each in self.details if each.code == code), None)


class AnnouncementPublished(Event):
    """A service publishes something that people are to be alerted about, or a new version of it.

    Every event carries the whole announcement, so order never matters. The topic begins with the
    name of the service that publishes.
    """

    topic: ClassVar[str] = "service.announcement.published.v1"
    any_service: ClassVar[bool] = True
    aggregate_field: ClassVar[str] = "announcement_id"

    announcement_id: Id = Field(json_schema_extra=PUBLIC)
    announcement: Announcement = Field(json_schema_extra=PUBLIC)

    @model_validator(mode="after")
    def _is_of_one_aggregate(self) -> Self:
        if self.announcement_id != self.announcement.announcement_id:
            raise ValueError("announcement_id is not that of the announcement")
        if self.aggregate_version != self.announcement.version:
            raise ValueError("aggregate_version is not the version of the announcement")
        if not self.is_generic() and not self.is_from(self.topic):
            raise ValueError("service is not the one of the topic")
        return self

    def is_from(self, topic: str | None) -> bool:
        """Whether the announcement names the service of the topic, which the broker verifies."""
        return self.announcement.service == (topic or "").partition(".")[0]
