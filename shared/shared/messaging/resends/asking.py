"""Asking for facts to be sent again, and stopping that: operators only, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit
from shared.auth import Principal, Role
from shared.contracts.base import new_id, now

from ..tables import ResendRow
from . import sources
from .domain import (
    EndsBeforeItBegins,
    Kind,
    NoSnapshot,
    NoSuchQueue,
    NoSuchRun,
    NotKept,
    NotRebuildable,
    OnlyOfTheLog,
    State,
    TakesNone,
    end,
)
from .listeners import Listeners
from .sources import Snapshot


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be sent to which queue, and why. The filters are for the log alone."""

    kind: Kind
    queue: str
    reason: str
    since: datetime | None = None
    until: datetime | None = None
    topics: tuple[str, ...] = ()
    event_id: UUID | None = None

    def check(self) -> None:
        """Refuse a wish that contradicts itself."""
        filters = (self.since, self.until, self.event_id)
        if self.kind is Kind.SNAPSHOT and (self.topics or any(f is not None for f in filters)):
            raise OnlyOfTheLog(field="kind")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise EndsBeforeItBegins(field="until")


async def ask(
    session: AsyncSession,
    caller: Principal,
    wish: Wish,
    *,
    service: str,
    log_topics: Sequence[str],
    snapshots: Sequence[Snapshot],
    listeners: Listeners,
) -> ResendRow:
    """Begin a run. From the commit on it is worked off, whoever dies.

    Refused where the queue does not exist, is not rebuildable, or takes none of these facts.
    """
    caller.require(Role.OPERATOR)
    wish.check()
    topics = await _taken(wish, service, _offered(wish, service, log_topics, snapshots), listeners)
    run = ResendRow(
        run=new_id(),
        kind=wish.kind.value,
        queue=wish.queue,
        topics=list(topics),
        since=wish.since,
        until=wish.until,
        event_id=wish.event_id,
        position={},
        done=0,
        sent=0,
        state=State.RUNNING.value,
        asked_by=str(caller.subject),
        reason=wish.reason,
        asked_at=await session.scalar(select(func.clock_timestamp())),
    )
    await _measure(session, run, service, snapshots)
    session.add(run)
    audit.record(
        session,
        caller,
        action=f"{wish.kind.value} sent again",
        subject_id=run.run,
        after={"queue": wish.queue, "topics": list(topics), "reason": wish.reason},
    )
    await session.flush()
    return run


def _offered(
    wish: Wish, service: str, log_topics: Sequence[str], snapshots: Sequence[Snapshot]
) -> tuple[str, ...]:
    if wish.kind is Kind.SNAPSHOT:
        offered = tuple(topic for snapshot in snapshots for topic in snapshot.topics)
        if not offered:
            raise NoSnapshot(
                f"{service} has no present state that it could tell: see `taawon replay {service}`"
            )
        return offered
    if foreign := sorted(set(wish.topics) - set(log_topics)):
        raise TakesNone(
            f"{service} announces no {', '.join(foreign)}: its facts are {', '.join(log_topics)}",
            field="topics",
        )
    return wish.topics or tuple(log_topics)


async def _taken(
    wish: Wish, service: str, offered: Sequence[str], listeners: Listeners
) -> tuple[str, ...]:
    found = await listeners.of(wish.queue, offered)
    if not found.exists:
        raise NoSuchQueue(
            f"there is no queue {wish.queue}: docs/events.md lists every reaction with its queue",
            field="queue",
        )
    if not found.rebuildable:
        raise NotRebuildable(
            f"{wish.queue} is not rebuildable: its reaction does more than keep a projection of its"
            " own, so hearing facts again could tell people again. What it gave up on is redriven"
            f" one by one: taawon dead-letters list {wish.queue.partition('.')[0]}",
            field="queue",
        )
    if not found.topics:
        raise TakesNone(
            f"{wish.queue} takes none of what this {wish.kind.value} of {service} tells"
            f" ({', '.join(offered)}): docs/events.md says what each queue takes",
            field="queue",
        )
    return found.topics


async def _measure(
    session: AsyncSession, run: ResendRow, service: str, snapshots: Sequence[Snapshot]
) -> None:
    """How much there is to do, and whether part of what is asked for is gone."""
    if run.kind == Kind.SNAPSHOT:
        for snapshot in sources.offering(snapshots, run.topics):
            run.total = (run.total or 0) + await snapshot.count(session)
        return
    # Facts written from now on reach the queue by themselves; so the run has an end.
    run.until = run.until or run.asked_at
    run.total = await sources.count_of_log(session, run)
    if run.event_id is not None:
        if not run.total:
            raise NotKept(f"the log of {service} has no sent fact {run.event_id}", field="event_id")
        return
    gone = await sources.forgotten_until(session)
    if gone is not None and (run.since is None or run.since <= gone):
        run.incomplete = (
            f"facts written until {gone:%Y-%m-%d %H:%M:%S} UTC are past their retention"
            " (TAAWON_OUTBOX_RETENTION_DAYS) and are missing here; what is so now comes whole with"
            f" `taawon snapshot {service} --to {run.queue}`"
        )


async def stop(session: AsyncSession, caller: Principal, run_id: UUID, *, reason: str) -> ResendRow:
    """Send nothing more of this run; what was sent stays sent."""
    caller.require(Role.OPERATOR)
    run = await session.get(ResendRow, run_id, with_for_update=True)
    if run is None:
        raise NoSuchRun
    end(run, State.STOPPED, at=now(), by=str(caller.subject))
    run.ended_because = reason
    audit.record(
        session,
        caller,
        action="resend stopped",
        subject_id=run.run,
        after={"sent": run.sent, "reason": reason},
    )
    await session.flush()
    return run


async def get(session: AsyncSession, caller: Principal, run_id: UUID) -> ResendRow:
    """One run, as far as it is."""
    caller.require(Role.OPERATOR)
    run = await session.get(ResendRow, run_id)
    if run is None:
        raise NoSuchRun
    return run


async def list_runs(session: AsyncSession, caller: Principal, *, limit: int) -> list[ResendRow]:
    """The newest runs first."""
    caller.require(Role.OPERATOR)
    query = select(ResendRow).order_by(ResendRow.asked_at.desc(), ResendRow.run).limit(limit)
    return list(await session.scalars(query))
