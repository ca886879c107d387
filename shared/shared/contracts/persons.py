"""What persons ask for, and what each service answers.

A service that must answer declares its `<service>.person.answered.v1` beside its other events: that
is how the registry knows whom to wait for (`catalogue.ANSWERS`), also where only its own program is
installed.
"""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from .base import Contract, Event

Kind = Literal["access", "rectification", "erasure"]

ACTIONS_LIMIT = 1000
"""Most actions or records in one answer, the newest; the counts are always whole."""


class CooperativeOfPerson(Contract):
    """A cooperative whose contact the person is; from this version on the request is fulfilled."""

    cooperative_id: UUID
    version: int = Field(ge=1)


class PersonRequested(Event):
    """Ids only: what is known of the person itself never travels."""

    aggregate_field: ClassVar[str] = "request_id"
    kind: ClassVar[Kind]

    request_id: UUID
    cooperatives: tuple[CooperativeOfPerson, ...] = ()
    account_ids: tuple[UUID, ...] = ()

    @property
    def cooperative_ids(self) -> tuple[UUID, ...]:
        return tuple(each.cooperative_id for each in self.cooperatives)


class PersonAction(Contract):
    """Something that an account of the person did, as the audit of a service says."""

    at: AwareDatetime
    action: str
    subject_id: UUID | None = None


class PersonRecord(Contract):
    """Something that a service keeps under an account of the person, by its id.

    What stands in it is read where it is kept, by whom it belongs to: it is not sealed here.
    """

    kind: str
    record_id: UUID
    state: str
    created_at: AwareDatetime


class PersonAnswered(Event):
    """A service has done its part; counts by table, and for access what it holds, sealed."""

    aggregate_field: ClassVar[str] = "request_id"

    request_id: UUID
    kind: Kind
    requested_at: AwareDatetime | None = Field(
        default=None, description="When the person asked; nothing asked before is told afterwards."
    )
    cooperative_ids: tuple[UUID, ...] = ()
    account_ids: tuple[UUID, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    actions: tuple[PersonAction, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    records: tuple[PersonRecord, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    report_sealed: str | None = None

    @classmethod
    def service(cls) -> str:
        """Whose answer this is."""
        return cls.topic.partition(".")[0]
