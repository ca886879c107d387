"""An event on the wire: CloudEvents 1.0 attributes as headers and as AMQP properties."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from aio_pika import DeliveryMode, Message

SPEC_VERSION = "1.0"
PREFIX = "cloudEvents_"
SOURCE = "/taawon"
CONTENT_TYPE = "application/json"


def message(
    *,
    event_id: UUID,
    topic: str,
    occurred_at: datetime,
    body: bytes,
    headers: Mapping[str, Any],
    service: str,
    user: str | None,
) -> Message:
    """The persistent message of an event; the event's id is also that of the message.

    `user` must be the user of the connection: the broker refuses any other.
    """
    attributes = {
        f"{PREFIX}specversion": SPEC_VERSION,
        f"{PREFIX}id": str(event_id),
        f"{PREFIX}type": topic,
        f"{PREFIX}source": f"{SOURCE}/{service}",
        f"{PREFIX}time": occurred_at.isoformat(),
        f"{PREFIX}datacontenttype": CONTENT_TYPE,
    }
    return Message(
        body,
        headers={**headers, **attributes},
        content_type=CONTENT_TYPE,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(event_id),
        type=topic,
        timestamp=occurred_at,
        app_id=service,
        user_id=user,
    )
