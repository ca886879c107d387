"""Checks and decodes a message before its consumer gets it; a wrong message is refused for good.

An event from a clock that is ahead, or with a version that no change ever reached, would outrank
every true one after it. So an event may be as old as the platform, but no newer than now; and
consumers accept versions only a bounded step ahead (`shared.contracts.base`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import Message as Header
from uuid import UUID

from faststream.rabbit.annotations import RabbitMessage

from shared import json_text
from shared.contracts.base import MOST_EVENT_BYTES, Event

from . import topology
from .failure import WrongMessage
from .timestamps import AHEAD, EARLIEST
from .undecodable import UNDECODABLE
from .wire import CONTENT_TYPE

_ESCAPED = rb"\u0000"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read(events: Iterable[type[Event]], message: RabbitMessage) -> Event:
    """The event in a message, as one of these classes.

    Raises `WrongMessage`, or pydantic's ValidationError where the body is not that of the event.
    """
    return parse(kind_of(events, message), message.raw_message.type, message.body)


def kind_of(events: Iterable[type[Event]], message: RabbitMessage) -> type[Event]:
    """The one of these classes that a message is of; raises `WrongMessage` where it is of none."""
    raw = message.raw_message
    if (size := len(message.body)) > MOST_EVENT_BYTES:
        raise WrongMessage(f"body of {size} bytes; at most {MOST_EVENT_BYTES} are taken")
    _refuse_foreign(raw.content_type, raw.content_encoding)
    kind = next((event for event in events if event.is_type(raw.type)), None)
    if kind is None:
        raise WrongMessage(f"this queue does not take type {raw.type!r}"[:200])
    return kind


def parse(kind: type[Event], topic: str | None, body: bytes) -> Event:
    """The event of this class in a body that came under this topic; raises as `read` does.

    No type is guessed: `true` is no 1 and "5" no number. Fields that the class does not have are
    ignored, so that a sender may be newer than its consumers.
    """
    if _ESCAPED in body and _NUL.search(body):
        raise WrongMessage("a text holds U+0000, which can't be stored")
    event = kind.model_validate_json(body, strict=True)
    _refuse_ambiguous(body)
    if not event.is_from(topic):
        raise WrongMessage("it names another service than its type")
    _refuse_impossible_time(event.occurred_at)
    return event


def _refuse_ambiguous(body: bytes) -> None:
    """Refuse repeated keys: another reader of the same event could take the other value."""
    try:
        json_text.refuse_ambiguous(body)
    except json_text.RepeatedKey:
        raise WrongMessage("a key stands twice") from None
    except json_text.NotJson:
        raise WrongMessage("the body can be read in more than one way") from None


def refuse_undecodable(message: RabbitMessage) -> None:
    """Raise `WrongMessage` for a message whose properties the client could not decode."""
    if UNDECODABLE in message.headers:
        raise WrongMessage("properties or headers can't be decoded")


def _refuse_foreign(content_type: str | None, encoding: str | None) -> None:
    if content_type == CONTENT_TYPE and not encoding:
        return  # as all our services send; no parsing is needed
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


def event_id(message: RabbitMessage) -> UUID:
    """The id by which the inbox recognises a repeat; raises `WrongMessage` where it is no UUID."""
    try:
        # Not `message.message_id`: where the sender gave none, that is a random one.
        return UUID(message.raw_message.message_id or "")
    except ValueError:
        raise WrongMessage("the message id is not a UUID") from None


def run_of(message: RabbitMessage, *, replayed: bool) -> str:
    """The run that replayed the event, or "". `replayed`: whether the queue takes replayed events.

    Raises `WrongMessage` for a replayed event that it does not take, and for a name that is none.
    """
    run = header(message, topology.RUN_HEADER) or ""
    if run and not replayed:
        raise WrongMessage("this queue takes no event a second time: it is not rebuildable")
    if len(run) > 80 or not run.isprintable():
        raise WrongMessage(f"{topology.RUN_HEADER} is no name of a run")
    return run


def header(message: RabbitMessage, name: str) -> str | None:
    """The header of this name if it is a text, else None."""
    value = message.headers.get(name)
    return value if isinstance(value, str) else None


def is_from_owner(user: str | None, topic: str | None, service: str) -> bool:
    """Whether the verified user owns the topic, or is the consuming `service` with its retries."""
    owner = (topic or "").partition(".")[0]
    return user in {owner, service}
