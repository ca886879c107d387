"""What persons ask for, and what each service answers.

A service that must answer declares its `<service>.person.answered.v1` beside its other events. So
the registry knows which services to wait for (`catalogue.ANSWERS`), even where the program of no
other service is installed.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from .base import Contract, Event, Id, Version
from .numbers import Count

Kind = Literal["access", "rectification", "erasure"]

ACTIONS_LIMIT: Final = 1000
"""Most actions or records in one answer, the newest; the counts are always whole."""
MOST_RECORDS: Final = 5000
"""Most cooperatives, and most accounts, of one request: what leads to more is nobody's own."""
MOST_PARTS: Final = 1000
"""Most events that one answer is divided into, each of at most `MOST_EVENT_BYTES`."""

Part = Annotated[int, Field(ge=1, le=MOST_PARTS)]
Name = Annotated[str, StringConstraints(max_length=63)]
"""What a service calls a table, a state or an action."""


class CooperativeOfPerson(Contract):
    """A cooperative whose contact the person is; from this version on the request is fulfilled."""

    cooperative_id: Id
    version: Version


class PersonRequested(Event):
    """A person's request, with ids only: nothing that is known about the person is in it."""

    aggregate_field: ClassVar[str] = "request_id"
    kind: ClassVar[Kind]

    request_id: Id
    cooperatives: tuple[CooperativeOfPerson, ...] = Field(default=(), max_length=MOST_RECORDS)
    account_ids: tuple[Id, ...] = Field(default=(), max_length=MOST_RECORDS)

    @property
    def cooperative_ids(self) -> tuple[Id, ...]:
        """The ids of the cooperatives whose contact the person is."""
        return tuple(each.cooperative_id for each in self.cooperatives)


class PersonAction(Contract):
    """Something that an account of the person did, as the audit of a service records it."""

    at: AwareDatetime
    action: Name
    subject_id: Id | None = None


class PersonRecord(Contract):
    """A record that a service keeps for an account of the person, named by its id.

    Its content does not travel: whoever owns the record reads it in the service that keeps it.
    """

    kind: Name
    record_id: Id
    state: Name
    created_at: AwareDatetime


class PersonAnswered(Event):
    """A service has done its share of a person's request.

    `counts` are rows by table; `report_sealed` is what the service stores, for access only. An
    answer that is too large for one event comes in several: `part` of `parts`, in any order. Each
    has all ids and counts; `actions`, `records` and the lists in `report_sealed` are divided.
    """

    aggregate_field: ClassVar[str] = "request_id"

    request_id: Id
    kind: Kind
    requested_at: AwareDatetime | None = Field(
        default=None,
        description="When the request was published; an erasure removes reports requested before.",
    )
    part: Part = 1
    parts: Part = 1
    cooperative_ids: tuple[Id, ...] = Field(default=(), max_length=MOST_RECORDS)
    account_ids: tuple[Id, ...] = Field(default=(), max_length=MOST_RECORDS)
    counts: dict[Name, Count] = Field(default_factory=dict, max_length=100)
    actions: tuple[PersonAction, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    records: tuple[PersonRecord, ...] = Field(default=(), max_length=ACTIONS_LIMIT)
    report_sealed: str | None = None

    @model_validator(mode="after")
    def _is_one_of_its_parts(self) -> Self:
        if self.part > self.parts:
            raise ValueError("part is above parts")
        return self

    @classmethod
    def service(cls) -> str:
        """The name of the service that answers."""
        return cls.topic.partition(".")[0]
