"""`GET /status`: what a service knows of itself, in counts and times, never in personal data."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import Role
from shared.database import is_infrastructure
from shared.messaging.relay import RELAY_LOCK
from shared.runtime import Runtime
from shared.web import Caller, Process

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


@router.get("/status")
async def read_status(process: Process, caller: Caller) -> Status:
    """How this service stands, for operators."""
    caller.require(Role.OPERATOR)
    service = process.settings.service
    database, stored = await _ask_database(process)
    return Status(
        service=service,
        version=_version(service),
        newest_revision=await asyncio.to_thread(_newest_revision, service),
        database=database,
        reactions=ReactionsState(
            listening=process.listening,
            paused=process.desk is not None and process.desk.paused,
            queues=list(process.queues),
        ),
        seals=process.sealer is not None,
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
    theirs = await _one(session, "SELECT extract(epoch FROM clock_timestamp()) AS now")
    ours = (before + time.time()) / 2
    return DatabaseState(answers=True, clock_skew_seconds=round(float(theirs.now) - ours, 3))


# Served by the partial index on what is not published yet.
OUTBOX = """
SELECT count(*) FILTER (WHERE parked_at IS NULL) AS pending,
       count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
       coalesce(extract(epoch FROM clock_timestamp()
                        - min(created_at) FILTER (WHERE parked_at IS NULL)), 0) AS oldest,
       coalesce(array_agg(DISTINCT last_error) FILTER (WHERE last_error IS NOT NULL), '{}')
           AS errors
  FROM outbox WHERE published_at IS NULL
"""
DEAD_LETTERS = """
SELECT queue, count(*) AS letters
  FROM dead_letter WHERE state = 'dead' GROUP BY queue ORDER BY queue
"""
INBOX = "SELECT count(*) AS messages FROM inbox WHERE received_at > now() - interval '1 hour'"
# A key of 64 bits is shown in two halves.
RELAY = """
SELECT count(*) > 0 AS held, extract(epoch FROM clock_timestamp() - min(a.xact_start)) AS seconds
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid::bigint = :high AND l.objid::bigint = :low
"""


async def _stored(session: AsyncSession, counts: dict[str, str]) -> Stored:
    outbox = await _one(session, OUTBOX)
    dead = await session.execute(text(DEAD_LETTERS))
    inbox = await _one(session, INBOX)
    relay = await _one(session, RELAY, high=RELAY_LOCK >> 32, low=RELAY_LOCK & 0xFFFF_FFFF)
    return Stored(
        revision=await _revision(session),
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


async def _revision(session: AsyncSession) -> str | None:
    """Of the schema; None where no migration ever ran."""
    table = await _one(session, "SELECT to_regclass('alembic_version') IS NOT NULL AS made")
    if not table.made:
        return None
    found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found) if found else None


async def _one(session: AsyncSession, statement: str, **values: Any) -> Row[Any]:
    return (await session.execute(text(statement), values)).one()


def _version(service: str) -> str:
    try:
        return version(service)
    except PackageNotFoundError:
        return "unknown"


@lru_cache
def _newest_revision(service: str) -> str | None:
    """Read from the installed migrations once, for they change only with the program."""
    from shared import migrations  # what reads them is needed for nothing else here

    try:
        return migrations.head(service)
    except migrations.UnknownService:
        return None
