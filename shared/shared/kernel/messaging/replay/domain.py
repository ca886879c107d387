"""The states of a replay run, and the reasons to refuse one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.errors import Away, Conflict, Invalid, NotFound
from shared.kernel.data.tables import ReplayRow
from shared.lifecycle import refuse_unless_allowed


class Kind(StrEnum):
    """What is sent: the present state as its newest events, or the kept events themselves."""

    SNAPSHOT = "snapshot"
    LOG = "log"


class State(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


MOVES: dict[State, frozenset[State]] = {
    State.RUNNING: frozenset({State.FINISHED, State.STOPPED, State.FAILED}),
    State.FINISHED: frozenset(),
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
}


class NoSuchRun(NotFound):
    """This service has no such run: `GET /replays` lists them."""


class NoSuchQueue(NotFound):
    """There is no queue of that name: docs/events.md lists every consumer with its queue."""


class NotReplayable(Conflict):
    """The queue is not rebuildable, or it consumes none of these events: see docs/events.md."""


class ForeignTopic(Invalid):
    """Another service publishes that event: send the request to it."""


class NoSnapshot(Conflict):
    """This service has no snapshot of its present state: replay its log."""


class NotKept(NotFound):
    """The log has no such event: it never had, or it is past its retention."""


class OnlyOfTheLog(Invalid):
    """A snapshot is the present state: omit since, until, topics and event_id, or use the log."""


class EndsBeforeItBegins(Invalid):
    """`until` lies before `since`: exchange them."""


class BeginsInTheFuture(Invalid):
    """`since` lies in the future, and later events reach the queue by themselves."""


class BrokerUnreachable(Away):
    """The broker does not answer, so the queue can't be checked: try again; see `taawon doctor`"""


def end(run: ReplayRow, target: State, *, at: datetime, by: str | None = None) -> None:
    """End a run in this state; raises `IllegalMove` where it has ended already."""
    refuse_unless_allowed(MOVES, "run", State(run.state), target)
    run.state = target.value
    run.ended_at = at
    run.ended_by = by
