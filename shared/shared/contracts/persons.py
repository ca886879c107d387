"""What persons ask for, and what each service answers.

A service that must answer declares its `<service>.person.answered.v1` here: that is how the
registry knows whom to wait for, also where only its own program is installed.
"""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from .base import Contract, Event

ACTIONS_LIMIT = 1000
"""Most actions in one answer, the newest; the counts are always whole."""


class CooperativeOfPerson(Contract):
    """A cooperative whose contact the person is; from this version on the request is fulfilled."""

    cooperative_id: UUID
    version: int = Field(ge=1)


class PersonRequested(Event):
    """Ids only: what is known of the person itself never travels."""

    aggregate_field: ClassVar[str] = "request_id"

    request_id: UUID
    cooperatives: tuple[CooperativeOfPerson, ...] = ()
    account_ids: tuple[UUID, ...] = ()

    @property
    def cooperative_ids(self) -> tuple[UUID, ...]:
        return tuple(each.cooperative_id for each in self.cooperatives)


class PersonAccessRequested(PersonRequested):
    """A person asks what is held on them: each service says so."""

    topic: ClassVar[str] = "registry.person.access_requested.v1"


class PersonRectified(PersonRequested):
    """A person's values were corrected: older records of these cooperatives hold wrong ones."""

    topic: ClassVar[str] = "registry.person.rectified.v1"


class PersonErasureRequested(PersonRequested):
    """A person is to be forgotten: older records of these cooperatives still name them."""

    topic: ClassVar[str] = "registry.person.erasure_requested.v1"


class PersonAction(Contract):
    """Something that an account of the person did, as the audit of a service says."""

    at: AwareDatetime
    action: str
    subject_id: UUID | None = None


class PersonAnswered(Event):
    """A service has done its part; counts by table, and for access what it holds, sealed."""

    aggregate_field: ClassVar[str] = "request_id"

    request_id: UUID
    kind: Literal["access", "rectification", "erasure"]
    cooperative_ids: tuple[UUID, ...] = ()
    account_ids: tuple[UUID, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    actions: tuple[PersonAction, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    report_sealed: str | None = None

    @classmethod
    def service(cls) -> str:
        """Whose answer this is."""
        return cls.topic.partition(".")[0]


class RegistryAnswered(PersonAnswered):
    """The registry has answered a person's request."""

    topic: ClassVar[str] = "registry.person.answered.v1"


class IdeasAnswered(PersonAnswered):
    """The bank of ideas has answered a person's request."""

    topic: ClassVar[str] = "ideas.person.answered.v1"


class FundingAnswered(PersonAnswered):
    """Funding has answered a person's request."""

    topic: ClassVar[str] = "funding.person.answered.v1"


class NotificationsAnswered(PersonAnswered):
    """Notifications has answered a person's request."""

    topic: ClassVar[str] = "notifications.person.answered.v1"


ANSWERS: tuple[type[PersonAnswered], ...] = tuple(
    sorted(PersonAnswered.__subclasses__(), key=lambda answer: answer.topic)
)
"""Of every service that must answer."""


def kind_of(event: PersonRequested) -> Literal["access", "rectification", "erasure"]:
    """What the person asks for."""
    if isinstance(event, PersonAccessRequested):
        return "access"
    return "rectification" if isinstance(event, PersonRectified) else "erasure"
