"""`GET /status`: what a service knows of itself, in counts and times, never in personal data."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from prometheus_client.core import Metric
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.auth.tokens import Role
from shared.kernel.data.database import is_infrastructure
from shared.kernel.messaging.relay import LAST_RUN, RELAY_LOCK
from shared.kernel.runtime import Runtime
from shared.kernel.web.requests import Caller, Process

from .db_metrics import process_metrics, scrape_of
from .schemas import (
    ConsumersState,
    DatabaseState,
    InboxState,
    LongStatement,
    OutboxState,
    RelayState,
    Status,
    Stored,
)
from .status_sql import (
    DEAD_LETTERS,
    FAILED_REPLAYS,
    INBOX,
    LONG_STATEMENTS,
    OUTBOX,
    RELAY,
    known_revisions,
    newest_revision,
    one_row,
    program_version,
    revision_of,
)

__all__ = ["router"]

router = APIRouter(tags=["operations"])
NAMED = 20
LONG_STATEMENT_SECONDS = 30.0
"""No statement of ours runs for so long: what it touches is bounded, or its plan is wrong."""
DATABASE_SECONDS = 2.0
"""A database that does not answer within this time counts as away, for status and readiness."""


@dataclass(frozen=True)
class _Database:
    """What the database reported. `stored` is None where the schema is not the program's."""

    state: DatabaseState
    revision: str | None = None
    stored: Stored | None = None


@router.get("/status")
async def read_status(request: Request, process: Process, caller: Caller) -> Status:
    """The status of this service, for operators."""
    caller.require(Role.OPERATOR)
    service = process.settings.service
    newest = await asyncio.to_thread(newest_revision, service)
    known = await asyncio.to_thread(known_revisions, service)
    reported = await _ask_database(process)
    measured = await scrape_of(request.app).families()
    return Status(
        service=service,
        version=program_version(service),
        at=datetime.now(UTC),
        revision=reported.revision,
        newest_revision=newest,
        revision_known=reported.revision is None or reported.revision in known,
        database=reported.state,
        consumers=ConsumersState(
            consuming=process.consuming,
            paused=process.processor is not None and process.processor.paused,
            queues=list(process.queues),
        ),
        seals=process.sealer is not None,
        measured=samples([*LAST_RUN.collect(), *process_metrics(process), *measured]),
        **(dict(reported.stored) if reported.stored else {}),
    )


async def _ask_database(process: Runtime) -> _Database:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), process.sessions() as session:
            return await _read(session, process)
    except Exception as error:
        if not is_infrastructure(error):
            raise
        return _Database(DatabaseState(answers=False))


async def _read(session: AsyncSession, process: Runtime) -> _Database:
    """The revision is read first: where the schema is another, it explains why the rest is None."""
    state, revision = await _clock(session), await revision_of(session)
    try:
        return _Database(state, revision, await _stored(session, process))
    except ProgrammingError:
        if revision == newest_revision(process.settings.service):
            raise
        return _Database(state, revision)


async def _clock(session: AsyncSession) -> DatabaseState:
    await session.execute(text("SELECT 1"))  # so that connecting does not count as skew
    before = time.time()
    theirs = await one_row(session, "SELECT extract(epoch FROM clock_timestamp()) AS now")
    ours = (before + time.time()) / 2
    return DatabaseState(answers=True, clock_skew_seconds=round(float(theirs.now) - ours, 3))


async def _stored(session: AsyncSession, process: Runtime) -> Stored:
    outbox = await one_row(session, OUTBOX)
    dead = await session.execute(text(DEAD_LETTERS))
    inbox = await one_row(session, INBOX)
    relay = await one_row(session, RELAY, high=RELAY_LOCK >> 32, low=RELAY_LOCK & 0xFFFF_FFFF)
    return Stored(
        outbox=OutboxState(
            pending=outbox.pending,
            oldest_seconds=round(float(outbox.oldest), 3),
            quarantined=outbox.quarantined,
            last_errors=outbox.errors,
        ),
        dead_letters={row.queue: row.dead_letters for row in dead},
        inbox=InboxState(last_hour=inbox.messages),
        relay=RelayState(holds_lock=relay.held, held_seconds=relay.seconds),
        counts={
            name: int(await session.scalar(text(statement)) or 0)
            for name, statement in process.counts.items()
        },
        names={
            name: list(await session.scalars(text(f"{statement} LIMIT {NAMED}")))
            for name, statement in process.names.items()
        },
        failed_replays=(await one_row(session, FAILED_REPLAYS)).runs,
        long_statements=await _long_statements(session),
    )


async def _long_statements(session: AsyncSession) -> list[LongStatement]:
    rows = await session.execute(text(LONG_STATEMENTS), {"seconds": LONG_STATEMENT_SECONDS})
    return [
        LongStatement(
            seconds=round(float(row.seconds), 1),
            waits_for_lock=row.waits_for_lock,
            statement=row.statement,
        )
        for row in rows
    ]


def samples(families: list[Metric]) -> dict[str, float]:
    """The value of each sample of these gauges, by its name with the labels in braces."""
    return {
        _series(sample.name, sample.labels): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
    }


def _series(name: str, labels: dict[str, str]) -> str:
    pairs = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}" if pairs else name
