"""The headers of a failed message on its way to another attempt or to the dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from aio_pika import DeliveryMode, Message
from faststream.rabbit.annotations import RabbitMessage
from pydantic import ValidationError

from . import timestamps

ATTEMPTS = "x-taawon-attempts"
FIRST_FAILED = "x-taawon-first-failed-at"
LAST_FAILED = "x-taawon-last-failed-at"
ERROR = "x-taawon-error"

# Other headers are dropped: with its own history the broker would refuse a second trip through the
# same queues, and those of a sender could make the copy too large for a frame.
_KEPT = ("cloudEvents_", "traceparent", "tracestate", "x-taawon-")
_LONGEST_HEADER = 1000
MOST_ATTEMPTS = 1000
"""A larger count was not written by us, so it is ignored."""
FORGED = "the sender is not the owner of this event"
"""The error of a message whose verified sender had no right to publish it."""


class WrongMessage(Exception):
    """The message itself is wrong: no later attempt can succeed."""


@dataclass(frozen=True)
class Failure:
    """How often and since when a message has failed, and why; never a value of the message.

    The moments are ISO 8601 texts.
    """

    attempts: int
    first_at: str
    last_at: str
    error: str

    @classmethod
    def of(cls, message: RabbitMessage, error: Exception) -> Failure:
        """The failure after this attempt."""
        now = datetime.now(UTC)
        before = message.headers.get(ATTEMPTS)
        first = timestamps.moment(message.headers.get(FIRST_FAILED)) or now
        return cls(
            attempts=(before if is_count(before) else 0) + 1,
            first_at=first.isoformat(),
            last_at=now.isoformat(),
            error=describe(error),
        )


def is_count(value: object) -> TypeGuard[int]:
    """Whether a header can be the number of attempts that we wrote."""
    return type(value) is int and 0 < value <= MOST_ATTEMPTS


def describe(error: Exception) -> str:
    """The class of an error and the fields that it names, without any value of a field."""
    if isinstance(error, ValidationError):
        places = sorted(
            {f"{'.'.join(str(p) for p in e['loc'])}: {e['type']}" for e in error.errors()}
        )
        return f"ValidationError({'; '.join(places)[:400]})".replace("\0", "")
    if isinstance(error, WrongMessage):
        return f"WrongMessage({error})"
    return type(error).__name__


def failed_copy(message: RabbitMessage, failure: Failure, *, user: str) -> Message:
    """A copy of the message with the same id, and with the failure in our own headers.

    `user` is the user of the connection that will publish it.
    """
    raw = message.raw_message
    return Message(
        message.body,
        headers=_headers(message.headers, failure),
        content_type=raw.content_type or "application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=raw.message_id,
        type=raw.type,
        timestamp=raw.timestamp,
        app_id=raw.app_id,
        user_id=user,
    )


def _headers(headers: dict[str, Any], failure: Failure) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in headers.items()
        if name.startswith(_KEPT) and isinstance(value, str) and len(value) <= _LONGEST_HEADER
    }
    return {
        **kept,
        ATTEMPTS: failure.attempts,
        FIRST_FAILED: failure.first_at,
        LAST_FAILED: failure.last_at,
        ERROR: failure.error,
    }
