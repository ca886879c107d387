"""What the ideas service publishes. Every event carries the whole idea, so order never matters."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from .base import PUBLIC, Audience, Contract, Event, Id, Localized, LocalizedLong, Text, Version
from .persons import PersonAnswered

Readiness = Literal["raw", "structured", "with_business_plan", "jury_selected"]
Origin = Literal["submitted", "model_project", "territorial_need", "ideathon"]
IdeaState = Literal["published", "withdrawn"]


class IdeaSnapshot(Contract):
    """An idea as the service knows it at one version."""

    idea_id: Id = Field(json_schema_extra=PUBLIC)
    version: Version = Field(json_schema_extra=PUBLIC)
    state: IdeaState = Field(json_schema_extra=PUBLIC)
    origin: Origin = Field(default="submitted", json_schema_extra=PUBLIC)
    readiness: Readiness = Field(default="raw", json_schema_extra=PUBLIC)
    title: Localized = Field(json_schema_extra=PUBLIC)
    summary: LocalizedLong = Field(json_schema_extra=PUBLIC)
    regions: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    provinces: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    sectors: tuple[str, ...] = Field(default=(), json_schema_extra=PUBLIC)
    budget_centimes: int | None = Field(
        default=None, gt=0, json_schema_extra=PUBLIC, description="In centimes of a dirham."
    )
    jobs: int | None = Field(default=None, ge=0, json_schema_extra=PUBLIC)
    sdgs: tuple[int, ...] = Field(default=(), json_schema_extra=PUBLIC)
    published_at: AwareDatetime | None = Field(default=None, json_schema_extra=PUBLIC)
    author_id: Id
    on_behalf_of: Id | None = Field(
        default=None,
        description="The person or cooperative that it belongs to, if it is not the author's own.",
    )
    confirmed_audience: Audience | None = Field(
        default=None,
        description="How many recipients the publisher saw and confirmed; null: nobody confirmed.",
    )


class IdeaPublished(Event):
    """A moderator who is not the author made the idea public."""

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


class IdeasAnswered(PersonAnswered):
    """The ideas service has done its part of a person's request."""

    topic: ClassVar[str] = "ideas.person.answered.v1"
