"""What a failed message carries on its way to another attempt, or to the dead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aio_pika import DeliveryMode, Message
from faststream.rabbit.annotations import RabbitMessage
from pydantic import ValidationError

ATTEMPTS = "x-taawon-attempts"
FIRST_FAILED = "x-taawon-first-failed-at"
LAST_FAILED = "x-taawon-last-failed-at"
ERROR = "x-taawon-error"

# The broker's own history would make it refuse a second trip through the same queues.
_STRIPPED = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count")


FORGED = "the sender is not the owner of this fact"


class WrongMessage(Exception):
    """The message itself can't be right, whoever handles it and whenever."""


@dataclass(frozen=True)
class Failure:
    """How often and since when a message fails, and why; never the values in it."""

    attempts: int
    first_at: str
    last_at: str
    error: str

    @classmethod
    def of(cls, message: RabbitMessage, error: Exception) -> Failure:
        """The failure after this attempt."""
        moment = datetime.now(UTC).isoformat()
        before = message.headers.get(ATTEMPTS)
        first = message.headers.get(FIRST_FAILED)
        return cls(
            attempts=(before if isinstance(before, int) else 0) + 1,
            first_at=first if isinstance(first, str) else moment,
            last_at=moment,
            error=describe(error),
        )


def describe(error: Exception) -> str:
    """The class of an error and the places that it names, without any value of a field."""
    if isinstance(error, ValidationError):
        places = sorted(
            {f"{'.'.join(str(p) for p in e['loc'])}: {e['type']}" for e in error.errors()}
        )
        return f"ValidationError({'; '.join(places)[:400]})"
    if isinstance(error, WrongMessage):
        return f"WrongMessage({error})"
    return type(error).__name__


def parked_copy(message: RabbitMessage, failure: Failure, *, user: str) -> Message:
    """The same message, same id, with its history in our own headers."""
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
    kept = {k: v for k, v in headers.items() if not k.startswith(_STRIPPED)}
    return {
        **kept,
        ATTEMPTS: failure.attempts,
        FIRST_FAILED: failure.first_at,
        LAST_FAILED: failure.last_at,
        ERROR: failure.error,
    }
