"""What persons ask for, and what each service answers.

A service that must answer declares its `<service>.person.answered.v1` beside its other events. So
the registry knows which services to wait for (`catalogue.ANSWERS`), even where the program of no
other service is installed.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from .base import Contract, Event, Id, Version
from .numbers import Count

Kind = Literal["access", "rectification", "erasure"]

ACTIONS_LIMIT = 1000
"""Most actions or records in one answer, the newest; the counts are always whole."""


class CooperativeOfPerson(Contract):
    """A cooperative whose contact the person is; from this version on the request is fulfilled."""

    cooperative_id: Id
    version: Version


class PersonRequested(Event):
    """A person's request, with ids only: nothing that is known about the person is in it."""

    aggregate_field: ClassVar[str] = "request_id"
    kind: ClassVar[Kind]

    request_id: Id
    cooperatives: tuple[CooperativeOfPerson, ...] = ()
    account_ids: tuple[Id, ...] = ()

    @property
    def cooperative_ids(self) -> tuple[Id, ...]:
        """The ids of the cooperatives whose contact the person is."""
        return tuple(each.cooperative_id for each in self.cooperatives)


class PersonAction(Contract):
    """Something that an account of the person did, as the audit of a service records it."""

    at: AwareDatetime
    action: str
    subject_id: Id | None = None


class PersonRecord(Contract):
    """A record that a service keeps for an account of the person, named by its id.

    Its content does not travel: whoever owns the record reads it in the service that keeps it.
    """

    kind: str
    record_id: Id
    state: str
    created_at: AwareDatetime


class PersonAnswered(Event):
    """A service has done its part of a person's request.

    `counts` are rows by table; `report_sealed` is what the service stores, for access only.
    """

    aggregate_field: ClassVar[str] = "request_id"

    request_id: Id
    kind: Kind
    requested_at: AwareDatetime | None = Field(
        default=None,
        description="When the request was published; an erasure removes reports requested before.",
    )
    cooperative_ids: tuple[Id, ...] = ()
    account_ids: tuple[Id, ...] = ()
    counts: dict[str, Count] = Field(default_factory=dict)
    actions: tuple[PersonAction, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    records: tuple[PersonRecord, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    report_sealed: str | None = None

    @classmethod
    def service(cls) -> str:
        """The name of the service that answers."""
        return cls.topic.partition(".")[0]
