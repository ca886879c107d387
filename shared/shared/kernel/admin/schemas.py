"""What services report to operators: the responses of `/status`, `/sealed` and `/trace/{id}`.

They are apart from what gives them, because the commands that read them need nothing else of it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field


class DatabaseState(BaseModel):
    """Skew is the database's clock minus ours."""

    answers: bool
    clock_skew_seconds: float | None = None


class OutboxState(BaseModel):
    """Events that have not left yet. `last_errors` are classes of errors."""

    pending: int = 0
    oldest_seconds: float = 0.0
    quarantined: int = 0
    last_errors: list[str] = []


class RelayState(BaseModel):
    """The lock is held while a batch is on its way: rarely for long, and not at all when idle."""

    holds_lock: bool = False
    held_seconds: float | None = None


class InboxState(BaseModel):
    """Messages that consumers have dealt with."""

    last_hour: int = 0


class ConsumersState(BaseModel):
    """`paused`: a delivery waits for something that is away."""

    consuming: bool
    paused: bool
    queues: list[str]


class LongStatement(BaseModel):
    """A statement that has run for too long; values in its text are left out."""

    seconds: float
    waits_for_lock: bool
    statement: str = Field(description="Its first 200 characters.")


class Stored(BaseModel):
    """What only the tables can show."""

    outbox: OutboxState
    dead_letters: dict[str, int]
    inbox: InboxState
    relay: RelayState
    counts: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    failed_replays: int = 0
    long_statements: list[LongStatement] = []


class Status(BaseModel):
    """How a service stands.

    What the database would have to say is null while it is away, and what a schema of another
    program does not have is null too.
    """

    service: str
    version: str
    at: AwareDatetime | None = Field(default=None, description="By the clock of the service.")
    revision: str | None = None
    newest_revision: str | None = None
    revision_known: bool = Field(
        default=True, description="False: the schema is of another program, likely a newer one."
    )
    database: DatabaseState
    outbox: OutboxState | None = None
    dead_letters: dict[str, int] | None = None
    inbox: InboxState | None = None
    consumers: ConsumersState
    relay: RelayState | None = None
    counts: dict[str, int] | None = None
    names: dict[str, list[str]] | None = Field(
        default=None, description="What the counts are about, the first 20 of each."
    )
    failed_replays: int | None = Field(
        default=None, description="Runs that failed, with no later one to the same queue."
    )
    long_statements: list[LongStatement] | None = Field(
        default=None, description="Statements that have run for over 30 s, the longest first."
    )
    seals: bool
    measured: dict[str, float] = Field(
        default={}, description="The gauges of /metrics by name and labels, as of this answer."
    )


class SealedOut(BaseModel):
    """Counts by store (a column, or the bodies of a log) and by fingerprint of a key.

    `unreadable` are those that no key opens.
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
    """A consumer of this service has dealt with the event; the moment its transaction began."""

    queue: str
    event_id: UUID
    received_at: datetime


class DeadLetterOut(BaseModel):
    """A consumer of this service gave the event up."""

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
    """The event stands in a partner's feed; with a channel: when it first went out by it."""

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
        default=[], description="To partners, by their feeds."
    )
    cut: bool = Field(default=False, description="There is more of a kind than one answer holds.")
