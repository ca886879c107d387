"""The life of a run that sends facts again, and what may refuse it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.errors import Away, Conflict, Invalid, NotFound

from ..tables import ResendRow


class Kind(StrEnum):
    """What is sent: the present state in its newest facts, or the kept facts themselves."""

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
    """This service has no such run: `GET /resends` lists them."""


class RunIsOver(Conflict):
    """The run has ended: begin another one."""


class NoSuchQueue(NotFound):
    """There is no queue of that name: docs/events.md lists every reaction with its queue."""


class NotRebuildable(Conflict):
    """The reaction does more than keep a projection, so it may not hear facts again."""


class TakesNone(Conflict):
    """The queue takes none of these facts."""


class NoSnapshot(Conflict):
    """This service has no present state that it could tell: its facts are the log alone."""


class NotKept(NotFound):
    """The log has no such fact: it never had, or it is past its retention."""


class OnlyOfTheLog(Invalid):
    """A snapshot is what is so now: leave out since, until, topics and event_id, or take the log"""


class EndsBeforeItBegins(Invalid):
    """`until` lies before `since`: exchange them."""


class BrokerDoesNotAnswer(Away):
    """The broker does not answer, so nobody knows who listens: try again, or see `taawon doctor`"""


def end(run: ResendRow, target: State, *, at: datetime, by: str | None = None) -> None:
    """Bring a run to its end; one that has ended stays as it is."""
    if target not in MOVES[State(run.state)]:
        raise RunIsOver(f"the run was {run.state} at {run.ended_at:%Y-%m-%d %H:%M} UTC")
    run.state = target.value
    run.ended_at = at
    run.ended_by = by
