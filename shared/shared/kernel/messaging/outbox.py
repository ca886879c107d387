"""The only way to publish an event: a row written in the transaction of the change."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Event
from shared.kernel import context
from shared.kernel.data.tables import OutboxRow
from shared.kernel.observability import tracing


def add(session: AsyncSession, event: Event) -> None:
    """Record the event; the relay sends it after the commit, and nothing is sent on a rollback."""
    session.add(row_for(event))


def row_for(event: Event) -> OutboxRow:
    """The outbox row of the event. Its body and headers are fixed now and never made again."""
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
        body=event.model_dump_json().encode(),
        headers=headers,
    )
