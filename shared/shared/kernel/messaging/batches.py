"""Divides a batch that its consumer refused: what can be stored is, and the rest alone is dead.

One record that no consumer accepts says nothing about the others of its batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
from aio_pika import Message
from faststream.rabbit.annotations import RabbitMessage
from sqlalchemy.ext.asyncio import AsyncSession

from shared import json_text
from shared.contracts.base import Event
from shared.kernel.data.database import is_infrastructure

from . import decoding
from .consumers import Consumer
from .failure import Failure, WrongMessage, describe, failed_copy
from .wire import PREFIX

MOST_NAMED: Final = 12
"""So many ids stand in the error of a dead letter; all are in its body."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """A record that the consumer refused, and why."""

    record: Record
    error: Exception


@dataclass(frozen=True)
class Batch:
    """The records of a message, apart from what they have in common."""

    kind: type[Event]
    topic: str | None
    consumer: Consumer
    common: dict[str, Any]
    records: Sequence[Record]

    @classmethod
    def of(cls, consumer: Consumer, message: RabbitMessage) -> Batch | None:
        """The batch in a message; None where it is none, or none that could be divided."""
        try:
            kind = decoding.kind_of(consumer.events, message)
            if not kind.records_field:
                return None
            common = json_text.loads(message.body)
        except (WrongMessage, json_text.NotJson):
            return None
        records = common.pop(kind.records_field, None) if isinstance(common, dict) else None
        if not isinstance(records, list) or len(records) < 2:
            return None
        return cls(kind, message.raw_message.type, consumer, common, records)

    async def store(self, session: AsyncSession) -> list[Refusal]:
        """Let the consumer take all that it can; returns the records that it refused.

        Raises where a dependency is away, for that says nothing about any record.
        """
        return await self._store(session, self.records)

    async def _store(self, session: AsyncSession, records: Sequence[Record]) -> list[Refusal]:
        try:
            event = decoding.parse(self.kind, self.topic, self._body(records))
            async with session.begin_nested():
                await self.consumer.handler(event, session)
                await session.flush()
        except Exception as error:
            if is_infrastructure(error):
                raise
            if len(records) == 1:
                return [Refusal(records[0], error)]
        else:
            return []
        half = len(records) // 2
        first = await self._store(session, records[:half])
        return first + await self._store(session, records[half:])

    def letter(
        self, message: RabbitMessage, refused: Sequence[Refusal], failure: Failure, *, user: str
    ) -> Message:
        """A failed copy of the message with these records alone, under an id of its own.

        The inbox knows the message itself as done, so under its id nothing could be redriven. The
        new id is the same whenever the same records are refused again.
        """
        known = decoding.event_id(message)
        records = [each.record for each in refused]
        made = uuid5(known, hashlib.sha256(self._body(records)).hexdigest())
        copy = failed_copy(message, replace(failure, error=self._error(refused)), user=user)
        copy.body = self._body(records, event_id=str(made))
        copy.message_id = copy.headers[f"{PREFIX}id"] = str(made)
        return copy

    def _body(self, records: Sequence[Record], **changed: str) -> bytes:
        return orjson.dumps({**self.common, **changed, self.kind.records_field: records})

    def _error(self, refused: Sequence[Refusal]) -> str:
        """Why, how many, and which: ids alone, no other value of a record."""
        why = "; ".join(sorted({describe(each.error) for each in refused}))[:400]
        ids = [_id(each.record, self.kind.record_key) for each in refused[:MOST_NAMED]]
        more = ", …" if len(refused) > MOST_NAMED else ""
        return f"{why} in {len(refused)} of {len(self.records)}: {', '.join(ids)}{more}"


def _id(record: Record, key: str) -> str:
    try:
        return str(UUID(record[key]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return "without an id"
