"""`GET /trace/{id}`: what a service knows about the way of an event, without its content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Id
from shared.kernel.auth.tokens import Role
from shared.kernel.context import CORRELATION
from shared.kernel.data.tables import DeadLetterRow, InboxRow, OutboxRow
from shared.kernel.web.requests import Caller, Process, Session

from .schemas import DeadLetterOut, PartnerDelivery, ProcessedEvent, Trace, TracedEvent

router = APIRouter(tags=["operations"])

RECENT = 50_000
"""How many events, the newest first, are searched for what no index leads to: an operator's request
must not scan all of them. By its own id an event is found at any age."""
MOST = 200
"""Rows of each kind in one answer."""
PartnerDeliveries = Callable[
    [AsyncSession, Collection[UUID], int], Awaitable[list[PartnerDelivery]]
]
"""Returns the entries of these events in the feeds of partners, at most so many rows."""


async def no_partner_deliveries(
    session: AsyncSession, events: Collection[UUID], most: int
) -> list[PartnerDelivery]:
    """The `PartnerDeliveries` of a service without partners: none."""
    return []


@router.get("/trace/{id}")
async def read_trace(
    request: Request,
    process: Process,
    session: Session,
    caller: Caller,
    name: Annotated[
        str, Path(alias="id", pattern=CORRELATION, description="Event, correlation or aggregate")
    ],
    event: Annotated[
        list[Id], Query(max_length=50, description="Further events that other services named.")
    ] = [],  # noqa: B006  # the framework copies it
) -> Trace:
    """The way of an event through this service, and what it caused; for operators.

    By the id of a call, an idea, a cooperative or a request: of its newest events.
    """
    caller.require(Role.OPERATOR)
    ids = {*event, *_as_event(name)}
    events = await _events(session, name, ids)
    ids |= {each.event_id for each in events[:MOST]}
    processed = await _processed(session, process.queues, ids)
    dead_letters = await _dead_letters(session, name, ids)
    deliveries = await request.app.state.spec.partner_deliveries(session, ids, MOST + 1)
    return Trace(
        service=process.settings.service,
        events=events[:MOST],
        processed=processed[:MOST],
        dead_letters=dead_letters[:MOST],
        partner_deliveries=deliveries[:MOST],
        cut=max(map(len, (events, processed, dead_letters, deliveries))) > MOST,
    )


def _as_event(name: str) -> set[UUID]:
    try:
        return {UUID(name)}
    except ValueError:
        return set()


_CORRELATION_ID = OutboxRow.headers["cloudEvents_correlationid"].astext.label("correlation_id")
_CAUSATION_ID = OutboxRow.headers["cloudEvents_causationid"].astext.label("causation_id")
_EVENT = (
    OutboxRow.event_id,
    OutboxRow.topic,
    OutboxRow.created_at,
    OutboxRow.published_at,
    OutboxRow.quarantined_at,
    OutboxRow.attempts,
    OutboxRow.last_error,
    _CORRELATION_ID,
    _CAUSATION_ID,
)


async def _events(session: AsyncSession, name: str, events: set[UUID]) -> list[TracedEvent]:
    """These events, those of this aggregate or correlation id, and those that they caused."""
    columns = (*_EVENT, OutboxRow.aggregate_id)
    recent = select(*columns).order_by(OutboxRow.seq.desc()).limit(RECENT).subquery()
    related = select(*(recent.c[column.key] for column in _EVENT)).where(
        or_(
            recent.c.correlation_id == name,
            recent.c.causation_id.in_(map(str, events)),
            recent.c.aggregate_id.in_(_as_event(name)),
        )
    )
    asked = select(*_EVENT).where(OutboxRow.event_id.in_(events))
    found = await session.execute(asked.union(related).order_by("created_at").limit(MOST + 1))
    return [TracedEvent.model_validate(row._mapping) for row in found]


async def _processed(
    session: AsyncSession, queues: Sequence[str], events: set[UUID]
) -> list[ProcessedEvent]:
    """Searched by the primary key, which begins with the queue."""
    statement = (
        select(InboxRow.queue, InboxRow.event_id, InboxRow.received_at)
        .where(InboxRow.queue.in_(queues), InboxRow.event_id.in_(events))
        .order_by(InboxRow.received_at)
        .limit(MOST + 1)
    )
    return [ProcessedEvent.model_validate(row._mapping) for row in await session.execute(statement)]


async def _dead_letters(session: AsyncSession, name: str, events: set[UUID]) -> list[DeadLetterOut]:
    correlation = DeadLetterRow.headers["cloudEvents_correlationid"].astext
    statement = (
        select(
            DeadLetterRow.id.label("number"),
            DeadLetterRow.queue,
            DeadLetterRow.message_id,
            DeadLetterRow.topic,
            DeadLetterRow.error,
            DeadLetterRow.attempts,
            DeadLetterRow.first_failed_at,
            DeadLetterRow.last_failed_at,
            DeadLetterRow.state,
        )
        .where(or_(DeadLetterRow.message_id.in_(map(str, events)), correlation == name))
        .order_by(DeadLetterRow.last_failed_at)
        .limit(MOST + 1)
    )
    return [DeadLetterOut.model_validate(row._mapping) for row in await session.execute(statement)]
