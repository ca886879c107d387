"""What services report: the responses of `/`, `/status`, `/sealed` and `/trace/{id}`.

They are apart from the routes, because the commands that read them need nothing else of these.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field


class Index(BaseModel):
    """Which service answers; `links` are paths that say how it is."""

    service: str
    version: str
    links: dict[str, str]


class DatabaseState(BaseModel):
    """Whether the database answers, and its clock minus that of the process, in seconds."""

    answers: bool
    clock_skew_seconds: float | None = None


class OutboxState(BaseModel):
    """Events that have not left yet. `last_errors` holds names of exception classes."""

    pending: int = 0
    oldest_seconds: float = 0.0
    quarantined: int = 0
    last_errors: list[str] = []


class RelayState(BaseModel):
    """The lock is held while a batch is on its way: rarely for long, and not at all when idle."""

    holds_lock: bool = False
    held_seconds: float | None = None


class InboxState(BaseModel):
    """How many messages consumers have finished."""

    last_hour: int = 0


class ConsumersState(BaseModel):
    """The consumers of the process. `paused`: a delivery waits for a dependency that is away."""

    consuming: bool
    paused: bool
    queues: list[str]


class LongStatement(BaseModel):
    """A statement that has run for too long; values in its text are left out."""

    seconds: float
    waits_for_lock: bool
    statement: str = Field(description="Its first 200 characters.")


class Stored(BaseModel):
    """The part of the status that is read from the tables."""

    outbox: OutboxState
    dead_letters: dict[str, int]
    inbox: InboxState
    relay: RelayState
    counts: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    failed_replays: int = 0
    long_statements: list[LongStatement] = []


class Status(BaseModel):
    """The status of a service.

    What comes from the database is null while it is away, and where its schema is that of another
    version of the program.
    """

    service: str
    version: str
    at: AwareDatetime | None = Field(default=None, description="Now, by the service's clock.")
    revision: str | None = None
    newest_revision: str | None = None
    revision_known: bool = Field(
        default=True,
        description="False: the schema is that of another, probably newer, version of the program.",
    )
    database: DatabaseState
    outbox: OutboxState | None = None
    dead_letters: dict[str, int] | None = None
    inbox: InboxState | None = None
    consumers: ConsumersState
    relay: RelayState | None = None
    counts: dict[str, int] | None = None
    names: dict[str, list[str]] | None = Field(
        default=None, description="Names of what `counts` counts, the first 20 of each."
    )
    failed_replays: int | None = Field(
        default=None,
        description="Replays that failed, with no later one of the same kind to the same queue.",
    )
    long_statements: list[LongStatement] | None = Field(
        default=None, description="Statements that have run for over 30 s, the longest first."
    )
    seals: bool
    measured: dict[str, float] = Field(
        default={}, description="The gauges of /metrics by name and labels, as of now."
    )


class SealedOut(BaseModel):
    """Counts of sealed values by store (a column, or the bodies of a log) and key fingerprint.

    `unreadable` counts those that no key opens.
    """

    newest: str
    keys: list[str]
    stores: dict[str, dict[str, int]]


class TracedEvent(BaseModel):
    """An event of this service's outbox."""

    event_id: UUID
    topic: str
    created_at: datetime
    published_at: datetime | None
    quarantined_at: datetime | None
    attempts: int
    last_error: str | None
    correlation_id: str | None
    causation_id: str | None


class ProcessedEvent(BaseModel):
    """A consumer of this service has finished the event, in a transaction begun `received_at`."""

    queue: str
    event_id: UUID
    received_at: datetime


class DeadLetterOut(BaseModel):
    """A dead letter: a consumer of this service gave up on the event."""

    number: int
    queue: str
    message_id: str | None
    topic: str | None
    error: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    state: str


class PartnerDelivery(BaseModel):
    """An event in a partner's feed. With a channel, `at` is when it first went out by it."""

    event_id: UUID
    topic: str
    partner: str
    position: int
    channel: str | None
    at: datetime


class Trace(BaseModel):
    """What one service knows of an event, or of everything with one correlation id."""

    service: str
    events: list[TracedEvent]
    processed: list[ProcessedEvent]
    dead_letters: list[DeadLetterOut]
    partner_deliveries: list[PartnerDelivery] = Field(
        default=[], description="Entries of these events in the feeds of partners."
    )
    cut: bool = Field(default=False, description="Some list was cut off: there are more entries.")
