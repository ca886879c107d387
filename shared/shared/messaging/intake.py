"""What a message has to be before a reaction sees it; anything else is refused for good.

A fact from a clock that is wrong, or a version that no change ever reached, would outrank every
true one after it. So a fact may be as old as the platform, but hardly newer than now; and the
versions that listeners keep grow step by step (`shared.contracts.base`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.message import Message as Header

from faststream.rabbit.annotations import RabbitMessage

from shared.contracts.base import Event

from .failure import WrongMessage
from .undecodable import UNDECODABLE
from .wire import MAX_BODY_BYTES

AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours: far more than clocks that are kept ever differ."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before it there was no platform that could have announced anything."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read(events: Iterable[type[Event]], message: RabbitMessage) -> Event:
    """The fact in a message, or `WrongMessage`, or where it does not validate."""
    raw = message.raw_message
    body = message.body
    if len(body) > MAX_BODY_BYTES:
        raise WrongMessage(f"body of {len(body)} bytes; at most {MAX_BODY_BYTES} are taken")
    _refuse_foreign(raw.content_type, raw.content_encoding)
    kind = next((event for event in events if event.topic == raw.type), None)
    if kind is None:
        raise WrongMessage(f"this queue does not take type {raw.type!r}"[:200])
    if _NUL.search(body):
        raise WrongMessage("a text holds U+0000, which can't be stored")
    event = kind.model_validate_json(body)
    _refuse_impossible_time(event.occurred_at)
    return event


def refuse_undecodable(message: RabbitMessage) -> None:
    """Refuse a message whose properties the client could not read."""
    if UNDECODABLE in message.headers:
        raise WrongMessage("properties or headers can't be decoded")


def _refuse_foreign(content_type: str | None, encoding: str | None) -> None:
    if (encoding or "").lower() not in {"", "utf-8", "identity"}:
        raise WrongMessage("bodies are plain UTF-8: no content encoding is taken")
    content = Header()
    content["content-type"] = content_type or "application/json"
    charset = content.get_content_charset("utf-8")
    if content.get_content_type() != "application/json" or charset not in {"utf-8", "utf8"}:
        raise WrongMessage("the content type is not application/json in UTF-8")


def _refuse_impossible_time(moment: datetime) -> None:
    if moment > datetime.now(UTC) + AHEAD:
        minutes = round(AHEAD.total_seconds() / 60)
        raise WrongMessage(f"occurred_at is more than {minutes} minutes ahead of our clock")
    if moment < EARLIEST:
        raise WrongMessage(f"occurred_at is before {EARLIEST.year}")
