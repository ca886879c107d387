"""Rows of a made-up service, and the service itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI

from devkit.pytest_plugin import Api
from shared.contracts.base import now
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.service import app
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

QUEUE = "masonry.lay_stones"


def create_app(settings: Settings) -> FastAPI:
    return app.build(ServiceSpec(name="masonry"), settings)


def an_event(event_id: UUID | None = None, **values: Any) -> OutboxRow:
    """An unsent event; `correlation` and `causation` become headers."""
    headers = {
        f"cloudEvents_{name}id": str(values.pop(name))
        for name in ("correlation", "causation")
        if name in values
    }
    row = {
        "event_id": event_id or uuid4(),
        "topic": "masonry.stone.laid.v1",
        "aggregate_id": uuid4(),
        "occurred_at": now(),
        "body": b'{"mason": "somebody"}',
        "headers": headers,
        "created_at": now(),
    }
    return OutboxRow(**{**row, **values})


def dead_letter(message_id: UUID | None = None, **values: Any) -> DeadLetterRow:
    row = {
        "queue": QUEUE,
        "message_key": str(uuid4()),
        "message_id": str(message_id or uuid4()),
        "topic": "masonry.stone.laid.v1",
        "body": b"{}",
        "headers": {},
        "error": "StoneTooHeavy",
        "first_failed_at": now(),
        "last_failed_at": now(),
    }
    return DeadLetterRow(**{**row, **values})


async def store(client: Api, *rows: object) -> None:
    async with client.sessions.begin() as session:
        session.add_all(rows)
