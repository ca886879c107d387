"""The sources of replayed events, read page by page: snapshots and the log."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Event
from shared.kernel import context
from shared.kernel.data.database import is_infrastructure
from shared.kernel.data.tables import OutboxHorizonRow, OutboxRow, ReplayRow
from shared.kernel.messaging.outbox import row_for

from .domain import Kind

log = structlog.get_logger()

LOG_PAGE = 25
"""Events in a page of the log. They may be large, such as a batch of 500 cooperatives, and a page
is held in memory."""


@dataclass(frozen=True)
class Page:
    """The events of so many rows in the order of their ids; `last` is the id of the last row.

    Each event has a name that is unique in its run and stays the same when the page is read again.
    `unreadable` names the rows that no event could be made of.
    """

    events: Sequence[tuple[str, Event]]
    rows: int
    last: UUID | None
    unreadable: Sequence[str] = ()


Named = Sequence[tuple[str, Event]]


async def page_of(
    session: AsyncSession,
    name: str,
    ids: Sequence[UUID],
    read: Callable[[AsyncSession, Sequence[UUID]], Awaitable[Named]],
) -> Page:
    """The page of these rows, which `read` makes events of; `name` says what a row is.

    Where they can't be read together they are read one by one, and those that can't be read at all
    are named: one broken row keeps no other back.
    """
    last = ids[-1] if ids else None
    events, error = await _attempt(session, ids, read)
    if error is None:
        return Page(events, len(ids), last)
    made: list[tuple[str, Event]] = []
    unreadable: list[str] = []
    for each in ids:
        events, error = await _attempt(session, [each], read)
        made += events
        if error is not None:
            unreadable.append(f"{name} {each} ({type(error).__name__})")
            log.error("row could not be read", row=unreadable[-1], exc_info=error)
    return Page(made, len(ids), last, unreadable)


async def _attempt(
    session: AsyncSession,
    ids: Sequence[UUID],
    read: Callable[[AsyncSession, Sequence[UUID]], Awaitable[Named]],
) -> tuple[Named, Exception | None]:
    """The events of these rows, or why there are none; the transaction goes on either way."""
    try:
        async with session.begin_nested():
            return (await read(session, ids) if ids else ()), None
    except Exception as error:
        if is_infrastructure(error):
            raise
        return (), error


@dataclass(frozen=True)
class Snapshot:
    """How one kind of aggregate publishes its whole present state, with its present version.

    `page` reads the next page after an id (None: the first page); `count` counts all rows.
    """

    name: str
    topics: tuple[str, ...]
    page: Callable[[AsyncSession, UUID | None], Awaitable[Page]]
    count: Callable[[AsyncSession], Awaitable[int]]


@dataclass(frozen=True)
class KeptEvent:
    """An event as it is sent."""

    event_id: UUID
    topic: str
    occurred_at: datetime
    body: bytes
    headers: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """The next events of a run, where the page after them begins, and whether there is none."""

    events: Sequence[KeptEvent] = ()
    rows: int = 0
    position: dict[str, Any] = field(default_factory=dict)
    is_last: bool = False
    unreadable: Sequence[str] = ()


def offering(snapshots: Sequence[Snapshot], topics: Sequence[str]) -> list[Snapshot]:
    """The snapshots that publish any of these events."""
    return [snapshot for snapshot in snapshots if set(snapshot.topics) & set(topics)]


async def first_of_each_topic(
    session: AsyncSession, run: ReplayRow, snapshots: Sequence[Snapshot]
) -> list[KeptEvent]:
    """The first event of each topic of a run; topics without events are left out."""
    if run.kind == Kind.LOG:
        query = (
            select(OutboxRow)
            .where(*wanted_of_log(run))
            .ext(distinct_on(OutboxRow.topic))
            .order_by(OutboxRow.topic, OutboxRow.seq)
        )
        return [_kept(row) for row in await session.scalars(query)]
    firsts: dict[str, KeptEvent] = {}
    for snapshot in offering(snapshots, run.topics):
        page = await snapshot.page(session, None)
        for name, event in page.events:
            firsts.setdefault(event.topic, _of_snapshot(event_id_of(run.run, name), event))
    return list(firsts.values())


async def next_of_snapshot(
    session: AsyncSession, run: ReplayRow, snapshots: Sequence[Snapshot]
) -> Step:
    """The next page: one kind of aggregate after the other, each in the order of ids."""
    offered = offering(snapshots, run.topics)
    number = int(run.position.get("snapshot", 0))
    if number >= len(offered):
        return Step(position=run.position, is_last=True)
    after = run.position.get("after")
    page = await offered[number].page(session, UUID(after) if after else None)
    position: dict[str, Any] = {"snapshot": number, "after": str(page.last)}
    if page.last is None:
        position = {"snapshot": number + 1, "after": None}
    events = [
        _of_snapshot(event_id_of(run.run, name), event)
        for name, event in page.events
        if event.topic in run.topics
    ]
    return Step(events, page.rows, position, unreadable=page.unreadable)


def _of_snapshot(event_id: UUID, event: Event) -> KeptEvent:
    row = row_for(event.model_copy(update={"event_id": event_id}))
    headers = {k: v for k, v in row.headers.items() if k != "cloudEvents_causationid"}
    return KeptEvent(event_id, row.topic, row.occurred_at, row.body, headers)


async def next_of_log(session: AsyncSession, run: ReplayRow) -> Step:
    """The next kept events, in the order in which they were written; unsent ones are left out."""
    after = int(run.position.get("after", 0))
    rows = list(
        await session.scalars(
            select(OutboxRow)
            .where(*wanted_of_log(run), OutboxRow.seq > after)
            .order_by(OutboxRow.seq)
            .limit(LOG_PAGE)
        )
    )
    position = {"after": rows[-1].seq} if rows else run.position
    return Step([_kept(row) for row in rows], len(rows), position, is_last=len(rows) < LOG_PAGE)


def _kept(row: OutboxRow) -> KeptEvent:
    return KeptEvent(row.event_id, row.topic, row.occurred_at, row.body, dict(row.headers))


def wanted_of_log(run: ReplayRow) -> list[ColumnElement[bool]]:
    """The conditions for the kept events of a run; unsent ones reach their consumers anyway."""
    conditions: list[ColumnElement[bool]] = [
        OutboxRow.topic.in_(run.topics),
        OutboxRow.published_at.is_not(None),
    ]
    if run.since is not None:
        conditions.append(OutboxRow.created_at >= run.since)
    if run.until is not None:
        conditions.append(OutboxRow.created_at < run.until)
    if run.event_id is not None:
        conditions.append(OutboxRow.event_id == run.event_id)
    return conditions


async def count_of_log(session: AsyncSession, run: ReplayRow) -> int:
    """How many kept events a run is to send."""
    query = select(func.count()).select_from(OutboxRow).where(*wanted_of_log(run))
    return int(await session.scalar(query) or 0)


async def deleted_until(session: AsyncSession) -> datetime | None:
    """The moment up to which events may be missing from the log; None where none was deleted."""
    return await session.scalar(select(OutboxHorizonRow.deleted_until))


def correlation_of(run: UUID) -> context.WorkContext:
    """The context of a run, whose id is the correlation id of all that it sends."""
    return context.WorkContext.of(correlation_id=str(run))


def event_id_of(run: UUID, name: str) -> UUID:
    """The id of an event of a snapshot: the same when its page is read again in this run."""
    return uuid.uuid5(run, name)
