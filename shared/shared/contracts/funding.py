"""What funding publishes. Every event carries the whole call, so order never matters."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from shared.sentences import Sentence

from .base import PUBLIC, Audience, Contract, Event, Id, Localized, LocalizedLong, Text, Version
from .criteria import Criteria
from .deadline import Deadline
from .numbers import Amount, Percent
from .persons import PersonAnswered

CallKind = Literal["grant", "loan", "guarantee", "prize", "in_kind", "training"]
CallState = Literal["open", "closed", "cancelled"]


class TrackTerms(Contract):
    """One way into a call: who may apply, how much they may get, and who pays."""

    name: Localized = Field(json_schema_extra=PUBLIC)
    criteria: Criteria = Field(json_schema_extra=PUBLIC)
    max_grant_centimes: Amount | None = Field(default=None, json_schema_extra=PUBLIC)
    max_rate_percent: Percent | None = Field(default=None, ge=1, json_schema_extra=PUBLIC)
    min_own_share_percent: Percent | None = Field(default=None, json_schema_extra=PUBLIC)
    max_in_kind_percent_of_own_share: Percent | None = Field(default=None, json_schema_extra=PUBLIC)
    payer: Text | None = Field(default=None, json_schema_extra=PUBLIC)


class Track(TrackTerms):
    """One way into a call as it is published, with what it gives in words."""

    offer: Localized | None = Field(
        default=None,
        json_schema_extra=PUBLIC,
        description="Kind of support, cap, rate and own share, as people read them.",
    )


class CallSnapshot(Contract):
    """A funding call as the service knows it at one version.

    `reference_on` is the day on which ages of entities are measured.
    """

    call_id: Id = Field(json_schema_extra=PUBLIC)
    version: Version = Field(json_schema_extra=PUBLIC)
    state: CallState = Field(json_schema_extra=PUBLIC)
    kind: CallKind = Field(default="grant", json_schema_extra=PUBLIC)
    funder: Text = Field(json_schema_extra=PUBLIC)
    programme: Text | None = Field(default=None, json_schema_extra=PUBLIC)
    edition: Text | None = Field(default=None, json_schema_extra=PUBLIC)
    title: Localized = Field(json_schema_extra=PUBLIC)
    summary: LocalizedLong = Field(json_schema_extra=PUBLIC)
    source: Text | None = Field(default=None, json_schema_extra=PUBLIC)
    tracks: tuple[Track, ...] = Field(min_length=1, max_length=16, json_schema_extra=PUBLIC)
    deadline: Deadline | None = Field(
        default=None, json_schema_extra=PUBLIC, description="None for a standing call."
    )
    reference_on: date = Field(json_schema_extra=PUBLIC)
    opened_at: AwareDatetime = Field(json_schema_extra=PUBLIC)
    confirmed_audience: Audience | None = Field(
        default=None,
        description="How many recipients the opener saw and confirmed; null: nobody confirmed.",
    )
    funder_slug: str | None = Field(
        default=None,
        max_length=40,
        description="The institution that the call belongs to: it reads what became of its alerts.",
    )
    partners_at_once: bool = Field(
        default=False,
        description="Partner institutions get its events although its alerts are held back.",
    )

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> Self:
        if self.state == "open" and self.deadline and self.deadline.at <= self.opened_at:
            raise ValueError(Sentence("the deadline is not after the opening: nobody could apply"))
        return self


class CallOpened(Event):
    """Applications are accepted from now on."""

    topic: ClassVar[str] = "funding.call.opened.v1"
    aggregate_field: ClassVar[str] = "call_id"

    call_id: Id = Field(json_schema_extra=PUBLIC)
    call: CallSnapshot = Field(json_schema_extra=PUBLIC)


class CallUpdated(Event):
    """Something other than the deadline changed in an open call."""

    topic: ClassVar[str] = "funding.call.updated.v1"
    aggregate_field: ClassVar[str] = "call_id"

    call_id: Id = Field(json_schema_extra=PUBLIC)
    call: CallSnapshot = Field(json_schema_extra=PUBLIC)
    changed: tuple[Text, ...] = Field(default=(), max_length=40, json_schema_extra=PUBLIC)


class CallDeadlineExtended(Event):
    """The deadline moved forward, never back, with a reason."""

    topic: ClassVar[str] = "funding.call.deadline_extended.v1"
    aggregate_field: ClassVar[str] = "call_id"

    call_id: Id = Field(json_schema_extra=PUBLIC)
    call: CallSnapshot = Field(json_schema_extra=PUBLIC)
    previous_deadline: Deadline = Field(json_schema_extra=PUBLIC)
    reason: Text = Field(json_schema_extra=PUBLIC)


class CallClosed(Event):
    """The call takes no more applications; nothing else about it changed."""

    topic: ClassVar[str] = "funding.call.closed.v1"
    aggregate_field: ClassVar[str] = "call_id"

    call_id: Id = Field(json_schema_extra=PUBLIC)
    call: CallSnapshot = Field(json_schema_extra=PUBLIC)


class CallCancelled(Event):
    """The call is void; whoever was alerted must get a correction."""

    topic: ClassVar[str] = "funding.call.cancelled.v1"
    aggregate_field: ClassVar[str] = "call_id"

    call_id: Id = Field(json_schema_extra=PUBLIC)
    call: CallSnapshot = Field(json_schema_extra=PUBLIC)
    reason: Text = Field(json_schema_extra=PUBLIC)


class FundingAnswered(PersonAnswered):
    """Funding has done its part of a person's request."""

    topic: ClassVar[str] = "funding.person.answered.v1"
