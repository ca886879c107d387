"""A replayed event on the wire: as it was published, with the run in a header."""

from __future__ import annotations

from typing import Any

from shared.kernel.data.tables import ReplayRow
from shared.kernel.messaging import topology, wire
from shared.kernel.messaging.publisher import Outgoing

from .sources import KeptEvent


def outgoing(run: ReplayRow, event: KeptEvent, service: str, user: str) -> Outgoing:
    """The message of a replayed event; the replay exchange routes it to the run's queue alone."""
    headers: dict[str, Any] = {**event.headers, topology.RUN_HEADER: str(run.run)}
    message = wire.message(
        event_id=event.event_id,
        topic=event.topic,
        occurred_at=event.occurred_at,
        body=event.body,
        headers=headers,
        service=service,
        user=user,
    )
    return Outgoing(message, topology.REPLAY, topology.replay_key(run.queue, event.topic))
