"""Begins, stops and lists runs of replays; operators only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.tables import ReplayRow
from shared.kernel.messaging import topology
from shared.kernel.messaging.publisher import CONNECTION_ERRORS, Publisher, Unroutable
from shared.sentences import Sentence

from . import sources
from .domain import (
    BeginsInTheFuture,
    BrokerUnreachable,
    EndsBeforeItBegins,
    ForeignTopic,
    Kind,
    NoSnapshot,
    NoSuchQueue,
    NoSuchRun,
    NotKept,
    NotReplayable,
    OnlyOfTheLog,
    State,
    end,
)
from .sources import Snapshot
from .wire import outgoing


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What is to be sent to which queue, and why. The filters are for the log alone.

    `since` is part of the range, `until` is not.
    """

    kind: Kind
    queue: str
    reason: str
    since: datetime | None = None
    until: datetime | None = None
    topics: tuple[str, ...] = ()
    event_id: UUID | None = None

    def check(self) -> None:
        """Raise `OnlyOfTheLog` or `EndsBeforeItBegins` for a request that contradicts itself."""
        filters = (self.since, self.until, self.event_id)
        if self.kind is Kind.SNAPSHOT and (self.topics or any(f is not None for f in filters)):
            raise OnlyOfTheLog(field="kind")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise EndsBeforeItBegins(field="until")


async def begin(
    session: AsyncSession,
    caller: Principal,
    request: ReplayRequest,
    *,
    service: str,
    log_topics: Sequence[str],
    snapshots: Sequence[Snapshot],
    publisher: Publisher | None,
) -> ReplayRow:
    """Begin a run; the replay job works it off from the commit on.

    The first event of each topic goes to the queue at once. A queue that takes none of them refuses
    the request with `NotReplayable`. Raises also what `ReplayRequest.check` does,
    `BeginsInTheFuture`, `NoSnapshot`, `ForeignTopic`, `NoSuchQueue`, `NotKept` or
    `BrokerUnreachable`.
    """
    caller.require(Role.OPERATOR)
    request.check()
    topics = _offered(request, service, log_topics, snapshots)
    run = await _new_run(session, caller, request, topics)
    await _keep_consumed_topics(session, run, service, snapshots, publisher)
    await _measure(session, run, service, snapshots)
    session.add(run)
    audit.record(
        session,
        caller,
        action=f"{request.kind.value} replay begun",
        subject_id=run.run,
        after={"queue": run.queue, "topics": run.topics, "reason": run.reason},
    )
    await session.flush()
    return run


async def _new_run(
    session: AsyncSession, caller: Principal, request: ReplayRequest, topics: Sequence[str]
) -> ReplayRow:
    run = ReplayRow(
        run=new_id(),
        kind=request.kind.value,
        queue=request.queue,
        topics=list(topics),
        since=request.since,
        until=request.until,
        event_id=request.event_id,
        position={},
        done=0,
        sent=0,
        state=State.RUNNING.value,
        requested_by=str(caller.subject),
        reason=request.reason,
        requested_at=await session.scalar(select(func.clock_timestamp())),
    )
    if run.kind == Kind.LOG:
        # Events written from now on reach the queue by themselves, so the run has an end.
        run.until = run.until or run.requested_at
        if run.since is not None and run.since >= run.requested_at:
            raise BeginsInTheFuture(field="since")
    return run


def _offered(
    request: ReplayRequest,
    service: str,
    log_topics: Sequence[str],
    snapshots: Sequence[Snapshot],
) -> tuple[str, ...]:
    if request.kind is Kind.SNAPSHOT:
        offered = tuple(topic for snapshot in snapshots for topic in snapshot.topics)
        if not offered:
            raise NoSnapshot(
                Sentence(
                    "{service} has no snapshot: see `taawon replay {service}`", service=service
                )
            )
        return offered
    if foreign := sorted(set(request.topics) - set(log_topics)):
        raise ForeignTopic(
            Sentence(
                "{service} publishes no {foreign}: its events are {log_topics}",
                service=service,
                foreign=", ".join(foreign),
                log_topics=", ".join(log_topics),
            ),
            field="topics",
        )
    return request.topics or tuple(log_topics)


async def _keep_consumed_topics(
    session: AsyncSession,
    run: ReplayRow,
    service: str,
    snapshots: Sequence[Snapshot],
    publisher: Publisher | None,
) -> None:
    """Leave in the run only the topics that its queue takes from the replay exchange.

    One event of each topic is published: the broker returns it where the queue does not take it. A
    topic without an event stays, for nothing of it will be sent. The run sends these events once
    more under the same ids, which the queue's inbox then knows.
    """
    if publisher is None:
        raise BrokerUnreachable
    await _require_queue(publisher, run.queue)
    firsts = await sources.first_of_each_topic(session, run, snapshots)
    outcomes = await publisher.publish(
        outgoing(run, event, service, topology.user_of(publisher.url)) for event in firsts
    )
    refused = set()
    for event, outcome in zip(firsts, outcomes, strict=True):
        if isinstance(outcome, Unroutable):
            refused.add(event.topic)
        elif outcome is not None:
            raise BrokerUnreachable from outcome
    if firsts and len(refused) == len(firsts):
        raise _not_replayable(run.queue, refused)
    run.topics = [topic for topic in run.topics if topic not in refused]


def _not_replayable(queue: str, topics: Collection[str]) -> NotReplayable:
    return NotReplayable(
        Sentence(
            "{queue} takes none of {topics} again. It is either not rebuildable (its consumer"
            " does more than keep a projection of its own, so a replay could alert people twice;"
            " what it gave up on is redriven one by one: taawon dead-letters list {service}), or"
            " it does not consume them: docs/events.md lists what each queue consumes",
            queue=queue,
            topics=", ".join(sorted(topics)),
            service=queue.partition(".")[0],
        ),
        field="queue",
    )


async def _require_queue(publisher: Publisher, queue: str) -> None:
    try:
        waiting = await publisher.waiting(queue)
    except CONNECTION_ERRORS as error:
        raise BrokerUnreachable from error
    if waiting is None:
        raise NoSuchQueue(
            Sentence(
                "there is no queue {queue}: docs/events.md lists every consumer with its queue",
                queue=queue,
            ),
            field="queue",
        )


async def _measure(
    session: AsyncSession, run: ReplayRow, service: str, snapshots: Sequence[Snapshot]
) -> None:
    """Store how much there is to do, and whether part of the requested range is gone."""
    if run.kind == Kind.SNAPSHOT:
        for snapshot in sources.offering(snapshots, run.topics):
            run.total = (run.total or 0) + await snapshot.count(session)
        return
    run.total = await sources.count_of_log(session, run)
    if run.event_id is not None:
        if not run.total:
            raise NotKept(
                Sentence(
                    "the log of {service} has no sent event {event_id}",
                    service=service,
                    event_id=run.event_id,
                ),
                field="event_id",
            )
        return
    gone = await sources.deleted_until(session)
    if gone is not None and (run.since is None or run.since <= gone):
        run.incomplete = (
            f"events written until {gone:%Y-%m-%d %H:%M:%S} UTC are past their retention"
            " (TAAWON_OUTBOX_RETENTION_DAYS) and are missing here; for the whole present state:"
            f" `taawon snapshot {service} --to {run.queue}`"
        )


async def stop(session: AsyncSession, caller: Principal, run_id: UUID, *, reason: str) -> ReplayRow:
    """Stop a run: nothing more of it is sent.

    Raises `NoSuchRun`, or `IllegalMove` where it has ended already.
    """
    caller.require(Role.OPERATOR)
    run = await session.get(ReplayRow, run_id, with_for_update=True)
    if run is None:
        raise NoSuchRun
    end(run, State.STOPPED, at=now(), by=str(caller.subject))
    run.ended_because = reason
    audit.record(
        session,
        caller,
        action="replay stopped",
        subject_id=run.run,
        after={"sent": run.sent, "reason": reason},
    )
    await session.flush()
    return run


async def get(session: AsyncSession, caller: Principal, run_id: UUID) -> ReplayRow:
    """The run with this id; raises `NoSuchRun` where there is none."""
    caller.require(Role.OPERATOR)
    run = await session.get(ReplayRow, run_id)
    if run is None:
        raise NoSuchRun
    return run


async def list_runs(session: AsyncSession, caller: Principal, *, limit: int) -> list[ReplayRow]:
    """The runs of this service, the newest first."""
    caller.require(Role.OPERATOR)
    query = select(ReplayRow).order_by(ReplayRow.requested_at.desc(), ReplayRow.run).limit(limit)
    return list(await session.scalars(query))
