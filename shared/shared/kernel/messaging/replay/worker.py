"""Works off runs of replays page by page: read, publish with confirms, store the position, commit.

One process per service does it at a time: the one that holds an advisory lock in the transaction of
the page. A crash between the confirm and the commit sends a page again under the same ids, which
the consumer's inbox knows, for its key contains the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import now
from shared.kernel import failpoints
from shared.kernel.context import working
from shared.kernel.data.advisory_locks import take_lock
from shared.kernel.data.database import Sessions, is_infrastructure
from shared.kernel.data.tables import ReplayRow
from shared.kernel.messaging import topology
from shared.kernel.messaging.outbox import EventTooLarge
from shared.kernel.messaging.publisher import Outcome, Publisher, Unroutable, is_own_fault

from . import sources
from .domain import Kind, State, end
from .sources import Snapshot, Step
from .wire import outgoing

log = structlog.get_logger()

REPLAY_LOCK = 0x7265_706C_6179  # "replay" in ASCII
BACKLOG = 20
"""Most messages in the queue while a page is sent: live events wait behind them, and they take
memory of the broker."""

MOST_NAMED = 2_000
"""Most characters by which a run names rows that could not be read; the log names all."""

REPLAYED = Counter("taawon_replayed_total", "Events sent again and confirmed.", ["kind"])


@dataclass
class Replayer:
    """Works off the replays of one service."""

    sessions: Sessions
    publisher: Publisher
    service: str
    snapshots: Sequence[Snapshot] = ()

    async def step(self) -> bool:
        """Send one page of the oldest run whose queue has room; False where there is none.

        False also where another process has the lock, or the page is to be tried again later.
        """
        async with self.sessions.begin() as session:
            if not await take_lock(session, REPLAY_LOCK):
                return False
            for run_id in await self._running(session):
                run = await session.get(ReplayRow, run_id, with_for_update=True)
                if run is not None and run.state == State.RUNNING and await self._has_room(run):
                    with working(sources.correlation_of(run.run), run=str(run.run)):
                        return await self._send_page(session, run)
        return False

    async def _running(self, session: AsyncSession) -> list[UUID]:
        query = select(ReplayRow.run).where(ReplayRow.state == State.RUNNING.value)
        return list(await session.scalars(query.order_by(ReplayRow.requested_at, ReplayRow.run)))

    async def _has_room(self, run: ReplayRow) -> bool:
        waiting = await self.publisher.waiting(run.queue)
        return waiting is None or waiting < BACKLOG

    async def _send_page(self, session: AsyncSession, run: ReplayRow) -> bool:
        try:
            # The savepoint leaves the transaction usable, to store that the page can't be read.
            async with session.begin_nested():
                step = await self._next(session, run)
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.exception("page could not be read")
            self._fail(run, f"a page could not be read: {_words_of(error)}")
            return True
        user = topology.user_of(self.publisher.url)
        outcomes = await self.publisher.publish(
            outgoing(run, event, self.service, user) for event in step.events
        )
        failpoints.reach("replay.between-confirm-and-mark")
        failures = [outcome for outcome in outcomes if outcome is not None]
        if failures:
            return self._end_if_hopeless(run, failures)
        REPLAYED.labels(run.kind).inc(len(step.events))
        _name_unreadable(run, step.unreadable)
        run.position = step.position
        run.done += step.rows
        run.sent += len(step.events)
        if step.is_last:
            end(run, State.FINISHED, at=now())
            log.info("events sent again", queue=run.queue, kind=run.kind, sent=run.sent)
        return True

    async def _next(self, session: AsyncSession, run: ReplayRow) -> Step:
        if run.kind == Kind.SNAPSHOT:
            return await sources.next_of_snapshot(session, run, self.snapshots)
        return await sources.next_of_log(session, run)

    def _end_if_hopeless(self, run: ReplayRow, failures: Sequence[Outcome]) -> bool:
        """End a run that can't go on; otherwise the same page is tried again after a pause."""
        for failure in failures:
            assert failure is not None
            if isinstance(failure, Unroutable):
                self._fail(run, f"{run.queue} is bound no longer: no route for {failure}")
                return True
            # All go to the same exchange, so what the broker refuses to one it refuses to each.
            if is_own_fault(failure, alone=True):
                self._fail(run, f"an event can't be sent: {type(failure).__name__}")
                return True
        log.warning("events not sent again yet", error=type(failures[0]).__name__)
        return False

    def _fail(self, run: ReplayRow, why: str) -> None:
        end(run, State.FAILED, at=now())
        run.error = why
        log.error("events are not sent again", queue=run.queue, error=why)


def _words_of(error: Exception) -> str:
    return error.detail if isinstance(error, EventTooLarge) else type(error).__name__


def _name_unreadable(run: ReplayRow, rows: Sequence[str]) -> None:
    """Add the rows that could not be read to what is incomplete about the run."""
    if rows:
        known = run.incomplete or "could not be read:"
        named = f"{known} {', '.join(rows)};"
        run.incomplete = named if len(named) <= MOST_NAMED else f"{named[:MOST_NAMED]}…"
