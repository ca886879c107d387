"""The only way to publish an event: a row written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import MOST_EVENT_BYTES, Event
from shared.errors import Invalid
from shared.kernel import context
from shared.kernel.data.tables import OutboxRow
from shared.kernel.observability import tracing
from shared.sentences import Sentence

E = TypeVar("E", bound=Event)
R = TypeVar("R")


class EventTooLarge(Invalid):
    """Of what is to be published, this field is too long for an event: shorten or divide it."""

    def __init__(self, body: bytes) -> None:
        field = _largest_field(orjson.loads(body))
        super().__init__(
            Sentence(
                "the event would have {size} bytes and may have {most}, so nobody could read it:"
                " shorten or divide {field}",
                size=len(body),
                most=MOST_EVENT_BYTES,
                field=field,
            ),
            field=field,
        )


def add(session: AsyncSession, event: Event) -> None:
    """Record the event; the relay sends it after the commit, and nothing is sent on a rollback.

    Raises `EventTooLarge` for one that no consumer would take.
    """
    session.add(row_for(event))


def row_for(event: Event) -> OutboxRow:
    """The outbox row of the event. Its body and headers are fixed now and never made again.

    Raises `EventTooLarge`.
    """
    work = context.current()
    headers = {
        "cloudEvents_correlationid": work.correlation_id,
        "traceparent": tracing.recorded(event.topic, str(event.event_id), str(event.aggregate_id)),
    }
    if work.causation_id:
        headers["cloudEvents_causationid"] = work.causation_id
    return OutboxRow(
        event_id=event.event_id,
        topic=event.topic,
        aggregate_id=event.aggregate_id,
        occurred_at=event.occurred_at,
        body=_readable(_encoded(event)),
        headers=headers,
    )


def divided(records: Sequence[R], batch_of: Callable[[Sequence[R]], E]) -> Iterator[E]:
    """The batches of these records, in order: one, or halves of halves until each is an event that
    consumers take. A record that is too large alone stays alone, and the outbox refuses it.
    """
    batch = batch_of(records)
    if len(records) < 2 or len(_encoded(batch)) <= MOST_EVENT_BYTES:
        yield batch
        return
    half = len(records) // 2
    yield from divided(records[:half], batch_of)
    yield from divided(records[half:], batch_of)


def _encoded(event: Event) -> bytes:
    return event.model_dump_json().encode()


def _readable(body: bytes) -> bytes:
    if len(body) > MOST_EVENT_BYTES:
        raise EventTooLarge(body)
    return body


def _largest_field(event: dict[str, Any]) -> str:
    """The field that most of the bytes are in, as callers know it: without the name of the whole
    that the event carries, such as `call`.
    """
    path: list[str] = []
    inner: Any = event
    while isinstance(inner, dict) and inner:
        name = max(inner, key=lambda each: len(orjson.dumps(inner[each])))
        path, inner = [*path, name], inner[name]
    return ".".join(path[1:] or path)
