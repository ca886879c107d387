"""`GET /status`: what a service knows of itself, in counts and times, never in personal data."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request
from prometheus_client.core import Metric
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import Role
from shared.database import is_infrastructure
from shared.messaging.relay import RELAY_LOCK
from shared.runtime import Runtime
from shared.web import Caller, Process

from .measures import present, scrape_of
from .questions import (
    DEAD_LETTERS,
    INBOX,
    OUTBOX,
    RELAY,
    newest_revision,
    one,
    program_version,
    revision_of,
)

router = APIRouter(tags=["operations"])


class DatabaseState(BaseModel):
    """Skew is the database's clock minus ours."""

    answers: bool
    clock_skew_seconds: float | None = None


class OutboxState(BaseModel):
    """Facts that have not left yet. `last_errors` are classes of errors."""

    pending: int = 0
    oldest_seconds: float = 0.0
    parked: int = 0
    last_errors: list[str] = []


class RelayState(BaseModel):
    """The lock is held while a batch is on its way: rarely for long, and not at all when idle."""

    holds_lock: bool = False
    held_seconds: float | None = None


class InboxState(BaseModel):
    """Messages that reactions have dealt with."""

    last_hour: int = 0


class ReactionsState(BaseModel):
    """`paused`: a delivery waits for something that is away."""

    listening: bool
    paused: bool
    queues: list[str]


class Stored(BaseModel):
    """What only the database can tell."""

    revision: str | None = None
    outbox: OutboxState
    dead_letters: dict[str, int]
    inbox: InboxState
    relay: RelayState
    counts: dict[str, int] = {}


class Status(BaseModel):
    """How a service stands. What the database would have to tell is null while it is away."""

    service: str
    version: str
    revision: str | None = None
    newest_revision: str | None = None
    database: DatabaseState
    outbox: OutboxState | None = None
    dead_letters: dict[str, int] | None = None
    inbox: InboxState | None = None
    reactions: ReactionsState
    relay: RelayState | None = None
    counts: dict[str, int] | None = None
    seals: bool
    measured: dict[str, float] = Field(
        default={}, description="The gauges of /metrics by name and labels, as of this answer."
    )


@router.get("/status")
async def read_status(request: Request, process: Process, caller: Caller) -> Status:
    """How this service stands, for operators."""
    caller.require(Role.OPERATOR)
    service = process.settings.service
    database, stored = await _ask_database(process)
    return Status(
        service=service,
        version=program_version(service),
        newest_revision=await asyncio.to_thread(newest_revision, service),
        database=database,
        reactions=ReactionsState(
            listening=process.listening,
            paused=process.desk is not None and process.desk.paused,
            queues=list(process.queues),
        ),
        seals=process.sealer is not None,
        measured=samples([*present(process), *await scrape_of(request.app).families()]),
        **(dict(stored) if stored else {}),
    )


async def _ask_database(process: Runtime) -> tuple[DatabaseState, Stored | None]:
    try:
        async with process.sessions() as session:
            return await _database(session), await _stored(session, process.counts)
    except Exception as error:
        if not is_infrastructure(error):
            raise
        return DatabaseState(answers=False), None


async def _database(session: AsyncSession) -> DatabaseState:
    await session.execute(text("SELECT 1"))  # connecting is no part of the skew
    before = time.time()
    theirs = await one(session, "SELECT extract(epoch FROM clock_timestamp()) AS now")
    ours = (before + time.time()) / 2
    return DatabaseState(answers=True, clock_skew_seconds=round(float(theirs.now) - ours, 3))


async def _stored(session: AsyncSession, counts: dict[str, str]) -> Stored:
    outbox = await one(session, OUTBOX)
    dead = await session.execute(text(DEAD_LETTERS))
    inbox = await one(session, INBOX)
    relay = await one(session, RELAY, high=RELAY_LOCK >> 32, low=RELAY_LOCK & 0xFFFF_FFFF)
    return Stored(
        revision=await revision_of(session),
        outbox=OutboxState(
            pending=outbox.pending,
            oldest_seconds=round(float(outbox.oldest), 3),
            parked=outbox.parked,
            last_errors=outbox.errors,
        ),
        dead_letters={row.queue: row.letters for row in dead},
        inbox=InboxState(last_hour=inbox.messages),
        relay=RelayState(holds_lock=relay.held, held_seconds=relay.seconds),
        counts={
            name: int(await session.scalar(text(statement)) or 0)
            for name, statement in counts.items()
        },
    )


def samples(families: list[Metric]) -> dict[str, float]:
    """Each sample of these gauges under its name, with its labels in braces."""
    return {
        _series(sample.name, sample.labels): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
    }


def _series(name: str, labels: dict[str, str]) -> str:
    told = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
    return f"{name}{{{told}}}" if told else name
