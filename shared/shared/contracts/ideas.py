"""What the ideas service publishes. Every event carries the whole idea, so order never matters."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from .announcement import AnnouncementPublished
from .base import (
    LANGUAGES,
    PUBLIC,
    Audience,
    Contract,
    Event,
    Id,
    Language,
    PartlyLocalized,
    PartlyLocalizedLong,
    Text,
    Version,
)
from .criteria import LegalStatus
from .numbers import Amount, Goal, Jobs
from .persons import PersonAnswered

Readiness = Literal["raw", "structured", "with_business_plan", "jury_selected"]
Origin = Literal["submitted", "model_project", "territorial_need", "ideathon"]
IdeaState = Literal["published", "withdrawn"]


class IdeaSnapshot(Contract):
    """An idea as the service knows it at one version.

    It is for whoever matches its regions, provinces, sectors and legal statuses, by the rules of
    `Criteria`.
    """

    idea_id: Id = Field(json_schema_extra=PUBLIC)
    version: Version = Field(json_schema_extra=PUBLIC)
    state: IdeaState = Field(json_schema_extra=PUBLIC)
    origin: Origin = Field(default="submitted", json_schema_extra=PUBLIC)
    readiness: Readiness = Field(default="raw", json_schema_extra=PUBLIC)
    title: PartlyLocalized = Field(json_schema_extra=PUBLIC)
    summary: PartlyLocalizedLong = Field(json_schema_extra=PUBLIC)
    to_translate: tuple[Language, ...] = Field(
        default=(),
        max_length=len(LANGUAGES),
        json_schema_extra=PUBLIC,
        description="Languages in which the title or the summary is not written yet.",
    )
    regions: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    provinces: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    sectors: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    legal_statuses: tuple[LegalStatus, ...] = Field(
        default=(LegalStatus.REGISTERED,), json_schema_extra=PUBLIC
    )
    budget_centimes: Amount | None = Field(
        default=None, json_schema_extra=PUBLIC, description="In centimes of a dirham."
    )
    jobs: Jobs | None = Field(default=None, json_schema_extra=PUBLIC)
    sdgs: tuple[Goal, ...] = Field(default=(), max_length=17, json_schema_extra=PUBLIC)
    published_at: AwareDatetime | None = Field(default=None, json_schema_extra=PUBLIC)
    author_id: Id
    on_behalf_of: Id | None = Field(
        default=None,
        description="The person or cooperative that it belongs to, if it is not the author's own; a"
        " cooperative is not alerted of its own idea.",
    )
    confirmed_audience: Audience | None = Field(
        default=None,
        description="How many recipients the publisher saw and confirmed; null: nobody confirmed.",
    )


class IdeaPublished(Event):
    """A moderator who is not the author made the idea public, or a text of it was translated since.

    Nobody who was alerted is corrected because of a translation.
    """

    topic: ClassVar[str] = "ideas.idea.published.v1"
    aggregate_field: ClassVar[str] = "idea_id"

    idea_id: Id = Field(json_schema_extra=PUBLIC)
    idea: IdeaSnapshot = Field(json_schema_extra=PUBLIC)


class IdeaWithdrawn(Event):
    """The author took the idea back; whoever was alerted must get a correction."""

    topic: ClassVar[str] = "ideas.idea.withdrawn.v1"
    aggregate_field: ClassVar[str] = "idea_id"

    idea_id: Id = Field(json_schema_extra=PUBLIC)
    idea: IdeaSnapshot = Field(json_schema_extra=PUBLIC)
    reason: Text | None = Field(default=None, json_schema_extra=PUBLIC)


class IdeaReturned(AnnouncementPublished):
    """A moderator returned an idea that was filed for a cooperative: that one alone is alerted.

    Each return is an announcement of its own, in both languages, with the reason as the moderator
    wrote it.
    """

    topic: ClassVar[str] = "ideas.announcement.published.v1"


class IdeasAnswered(PersonAnswered):
    """The ideas service has done its part of a person's request."""

    topic: ClassVar[str] = "ideas.person.answered.v1"
