"""The way of an event through all services, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared.kernel.admin.schemas import Trace

from .client import OperatorClient

EVENTS_PER_QUERY = 50
"""Most events that one request to a service may name."""


@dataclass(frozen=True)
class Step:
    """One moment on the way of an event. `after_ms` is milliseconds since the first step."""

    at: datetime
    service: str
    what: str
    topic: str
    event_id: str
    detail: str = ""
    after_ms: int = 0


@dataclass(frozen=True)
class EventTrace:
    """The steps, and the services that did not answer with the reason: what they know is missing.

    The services of `cut` know more than their answers hold.
    """

    steps: tuple[Step, ...]
    silent: dict[str, str]
    cut: tuple[str, ...] = ()


async def follow(client: OperatorClient, name: str) -> EventTrace:
    """Ask every service, then all of them again about the events that the first answers named."""
    traces, silent = await _ask(client, name, [])
    events = sorted({str(event.event_id) for trace in traces for event in trace.events})
    for first in range(0, len(events), EVENTS_PER_QUERY):
        more, missing = await _ask(client, name, events[first : first + EVENTS_PER_QUERY])
        traces += more
        silent |= missing
    cut = sorted({trace.service for trace in traces if trace.cut})
    return EventTrace(tuple(steps(traces)), silent, tuple(cut))


async def _ask(
    client: OperatorClient, name: str, events: list[str]
) -> tuple[list[Trace], dict[str, str]]:
    answers = await client.ask(f"/trace/{name}", event=events)
    traces = [Trace.model_validate(answer.body) for answer in answers.values() if answer.ok]
    return traces, {name: a.trouble for name, a in answers.items() if not a.ok}


def steps(traces: Iterable[Trace]) -> list[Step]:
    """Everything that the services know, earliest first; what was reported twice is one step."""
    traces = list(traces)
    topics = {event.event_id: event.topic for trace in traces for event in trace.events}
    ordered = dict.fromkeys(step for trace in traces for step in _steps(trace, topics))
    found = sorted(ordered, key=lambda step: step.at)
    return [replace(step, after_ms=_milliseconds(found[0].at, step.at)) for step in found]


def _steps(trace: Trace, topics: dict[UUID, str]) -> Iterator[Step]:
    for event in trace.events:
        about = trace.service, event.topic, str(event.event_id)
        caused = f"caused by {event.causation_id}" if event.causation_id else ""
        yield _step(event.created_at, "written", about, caused)
        tries = f"{event.attempts} failed attempts, {event.last_error}" if event.attempts else ""
        if event.published_at:
            yield _step(event.published_at, "sent", about, tries)
        elif event.quarantined_at:
            yield _step(event.quarantined_at, "quarantined", about, tries)
    for processed in trace.processed:
        about = trace.service, topics.get(processed.event_id, ""), str(processed.event_id)
        yield _step(processed.received_at, "processed", about, processed.queue)
    for dead_letter in trace.dead_letters:
        about = trace.service, dead_letter.topic or "", dead_letter.message_id or ""
        failure = f"{dead_letter.attempts} attempts: {dead_letter.error}"
        detail = f"dead letter {dead_letter.number} of {dead_letter.queue}, {failure}"
        yield _step(dead_letter.last_failed_at, dead_letter.state, about, detail)
    for delivery in trace.partner_deliveries:
        about = trace.service, delivery.topic, str(delivery.event_id)
        entry = f"{delivery.partner}, position {delivery.position}"
        if delivery.channel is None:
            yield _step(delivery.at, "fed", about, entry)
        else:
            yield _step(delivery.at, "handed over", about, f"{entry}, by {delivery.channel}")


def _step(at: datetime, what: str, about: tuple[str, str, str], detail: str) -> Step:
    service, topic, event_id = about
    return Step(at, service, what, topic, event_id, detail)


def _milliseconds(first: datetime, then: datetime) -> int:
    return round((then - first).total_seconds() * 1000)
