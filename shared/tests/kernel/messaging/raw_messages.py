"""Messages whose properties have the bytes that an attacker chose."""

from __future__ import annotations

import struct
import uuid
from typing import Any

import aio_pika
from pamqp import commands

from .harness import StoneLaid, a_stone


class Raw(commands.Basic.Properties):
    """Properties with the bytes that an attacker chose."""

    def __init__(self, *, user: bytes, headers: bytes = b"", **parts: bytes | None) -> None:
        super().__init__()
        message_id = parts.get("message_id", str(uuid.uuid4()).encode())
        kind = parts.get("type", StoneLaid.topic.encode())
        timestamp = parts.get("timestamp", struct.pack(">Q", 1_790_000_000))
        flags = 1 << 13 | (message_id is not None) << 7 | 1 << 6 | 1 << 5 | 1 << 4
        self.raw = b"".join(
            [
                struct.pack(">H", flags),
                struct.pack(">I", len(headers)) + headers,
                *(struct.pack("B", len(text)) + text for text in [message_id] if text is not None),
                timestamp,
                *(struct.pack("B", len(text)) + text for text in [kind, user]),
            ]
        )

    def marshal(self) -> bytes:
        return self.raw


class RawMessage(aio_pika.Message):
    """A message that leaves with raw properties."""

    raw: Raw

    @property
    def properties(self) -> Any:
        return self.raw


def raw(**parts: bytes | None) -> RawMessage:
    made = RawMessage(a_stone(-1).model_dump_json().encode())
    made.raw = Raw(user=b"masonry", **parts)
    return made


def nested(depth: int) -> bytes:
    table = b""
    for _ in range(depth):
        table = b"\x01aF" + struct.pack(">I", len(table)) + table
    return table
