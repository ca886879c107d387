"""The way of an event through all services, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared.kernel.admin.schemas import Trace

from .client import Doors

FURTHER = 50
"""Events that every service is asked about at once."""


@dataclass(frozen=True)
class Step:
    """One moment on the way. `after_ms` counts from the first."""

    at: datetime
    service: str
    what: str
    topic: str
    event_id: str
    detail: str = ""
    after_ms: int = 0


@dataclass(frozen=True)
class Way:
    """The steps, and the services that did not answer: what they know is missing here.

    Those of `cut` know more than their answers hold.
    """

    steps: tuple[Step, ...]
    silent: dict[str, str]
    cut: tuple[str, ...] = ()


async def follow(doors: Doors, name: str) -> Way:
    """Ask every service, then all of them again about the events that the first answers named."""
    traces, silent = await _ask(doors, name, [])
    events = sorted({str(fact.event_id) for trace in traces for fact in trace.facts})
    for first in range(0, len(events), FURTHER):
        more, missing = await _ask(doors, name, events[first : first + FURTHER])
        traces += more
        silent |= missing
    cut = sorted({trace.service for trace in traces if trace.cut})
    return Way(tuple(steps(traces)), silent, tuple(cut))


async def _ask(doors: Doors, name: str, events: list[str]) -> tuple[list[Trace], dict[str, str]]:
    answers = await doors.ask(f"/trace/{name}", event=events)
    traces = [Trace.model_validate(answer.body) for answer in answers.values() if answer.ok]
    return traces, {name: a.trouble for name, a in answers.items() if not a.ok}


def steps(traces: Iterable[Trace]) -> list[Step]:
    """Everything that the services know, the earliest first; what was told twice is one step."""
    traces = list(traces)
    topics = {fact.event_id: fact.topic for trace in traces for fact in trace.facts}
    told = dict.fromkeys(step for trace in traces for step in _steps(trace, topics))
    found = sorted(told, key=lambda step: step.at)
    return [replace(step, after_ms=_milliseconds(found[0].at, step.at)) for step in found]


def _steps(trace: Trace, topics: dict[UUID, str]) -> Iterator[Step]:
    for fact in trace.facts:
        about = trace.service, fact.topic, str(fact.event_id)
        caused = f"caused by {fact.causation_id}" if fact.causation_id else ""
        yield _step(fact.created_at, "written", about, caused)
        tries = f"{fact.attempts} failed attempts, {fact.last_error}" if fact.attempts else ""
        if fact.published_at:
            yield _step(fact.published_at, "sent", about, tries)
        elif fact.parked_at:
            yield _step(fact.parked_at, "parked", about, tries)
    for taken in trace.taken:
        about = trace.service, topics.get(taken.event_id, ""), str(taken.event_id)
        yield _step(taken.received_at, "taken", about, taken.queue)
    for died in trace.dead:
        about = trace.service, died.topic or "", died.message_id or ""
        what = f"letter {died.number} of {died.queue}, {died.attempts} attempts: {died.error}"
        yield _step(died.last_failed_at, died.state, about, what)
    for handed in trace.handed:
        about = trace.service, handed.topic, str(handed.event_id)
        entry = f"{handed.partner}, position {handed.position}"
        if handed.door is None:
            yield _step(handed.at, "fed", about, entry)
        else:
            yield _step(handed.at, "handed over", about, f"{entry}, by {handed.door}")


def _step(at: datetime, what: str, about: tuple[str, str, str], detail: str) -> Step:
    service, topic, event_id = about
    return Step(at, service, what, topic, event_id, detail)


def _milliseconds(first: datetime, then: datetime) -> int:
    return round((then - first).total_seconds() * 1000)
