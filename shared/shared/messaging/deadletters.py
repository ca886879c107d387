"""Dead letters end in a table, where looking at them changes nothing.

A dead-letter queue read by get and requeue loses messages after some looks, so each service drains
its own into `dead_letter`: insert, commit, then acknowledge. While the database is away the drain
holds what it has taken.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aio_pika
import orjson
import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Sessions, is_infrastructure, outlasting
from shared.errors import Conflict, NotFound
from shared.pauses import rest
from shared.runtime import Runtime

from . import clocks, failure, forgetting, topology
from .consumers import Consumers
from .intake import is_from_owner
from .publisher import CONNECTION_ERRORS, Outgoing, Publisher
from .tables import DeadLetterRow

log = structlog.get_logger()

MOST_HEADER_BYTES = 16 * 1024
LIMIT_REACHED = "delivery limit of the broker reached"
NOT_STORABLE = "its properties can't be stored: see the log of the service"


class NoSuchDeadLetter(NotFound):
    """There is no dead letter of that number: list them with `taawon dead-letters list`."""


class ForgedLetter(Conflict):
    """Its sender had no right to this fact: drop it, and find out who sent it."""


class AlreadyDecided(Conflict):
    """This dead letter was redriven or dropped before."""


@dataclass
class Drain:
    """Moves dead letters of one service from its queues into its table."""

    sessions: Sessions
    amqp_url: str
    queues: tuple[str, ...]
    pause: float

    @classmethod
    def of(cls, runtime: Runtime, consumers: Consumers) -> Drain:
        return cls(
            runtime.sessions,
            runtime.settings.amqp_url.get_secret_value(),
            tuple(reaction.queue for reaction in consumers.reactions),
            runtime.settings.probe_seconds,
        )

    async def run(self) -> None:
        """Until cancelled; a lost broker or database is waited for."""
        settle = 0.0
        while True:
            try:
                await self._consume(settle)
            except Exception as error:
                if not _is_away(error):
                    log.exception("drain failed")
            settle = topology.SETTLE_SECONDS
            await rest(self.pause)

    async def _consume(self, settle: float) -> None:
        async with asyncio.timeout(5):
            connection = await aio_pika.connect(self.amqp_url)
        async with connection:
            await rest(settle)
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=20)
            async with asyncio.TaskGroup() as group:
                for queue in self.queues:
                    dead = await channel.get_queue(topology.dead_queue(queue))
                    group.create_task(self._drain(queue, dead))

    async def _drain(self, name: str, dead: AbstractQueue) -> None:
        messages = dead.iterator()
        async with asyncio.timeout(topology.ANSWER_SECONDS):
            await messages.consume()
        async with messages:
            async for message in messages:
                work = partial(keep, queue=name, message=message)
                await outlasting(self.sessions, work, self.pause)
                await message.ack()


def _is_away(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_away(part) for part in error.exceptions)
    return is_infrastructure(error) or isinstance(error, CONNECTION_ERRORS)


async def keep(session: AsyncSession, queue: str, message: AbstractIncomingMessage) -> None:
    """One row per queue and message: a repeat, or a redriven one that died again, updates it.

    A letter that the database does not take as it is, is kept without its properties: one that is
    taken back for ever would hold up all the others.
    """
    row = await _row_of(session, queue, message)
    try:
        async with session.begin_nested():
            await _write(session, row)
    except DBAPIError as error:
        if is_infrastructure(error):
            raise
        # Without the text of the error, which may hold what is in the letter.
        kind = type(error).__name__
        log.error("dead letter kept without its properties", queue=queue, error=kind)
        await _write(session, _bare(row))


async def _row_of(
    session: AsyncSession, queue: str, message: AbstractIncomingMessage
) -> dict[str, Any]:
    """What is kept of a letter.

    Every service may write to the dead-letter exchange, so a letter that its sender had no right
    to is kept apart, under a key that no genuine one has, and can't be redriven.
    """
    headers = _storable(dict(message.headers))
    message_id = _storable(message.message_id)
    now = datetime.now(UTC)
    error = str(headers.get(failure.ERROR, LIMIT_REACHED))
    genuine = is_from_owner(message.user_id, message.type, queue.partition(".")[0])
    forged = not genuine or failure.FORGED in error
    digest = hashlib.sha256(message.body).hexdigest()
    return {
        "queue": queue,
        "message_key": f"forged:{digest}" if forged else message_id or digest,
        "message_id": message_id,
        "topic": _storable(message.type),
        "body": await forgetting.cleaned(session, message.body),
        "headers": headers,
        "error": error if genuine else failure.FORGED,
        "attempts": _count(headers.get(failure.ATTEMPTS)),
        "first_failed_at": clocks.moment(headers.get(failure.FIRST_FAILED)) or now,
        "last_failed_at": clocks.moment(headers.get(failure.LAST_FAILED)) or now,
    }


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """No more of a letter than its place, its key and its body."""
    error = row["error"] if row["error"] == failure.FORGED else NOT_STORABLE
    return {**row, "message_id": None, "topic": None, "headers": {}, "error": error}


async def _write(session: AsyncSession, row: dict[str, Any]) -> None:
    changed = {k: v for k, v in row.items() if k not in {"queue", "message_key"}}
    await session.execute(
        insert(DeadLetterRow)
        .values(row)
        .on_conflict_do_update(
            index_elements=["queue", "message_key"], set_={**changed, "state": "dead"}
        )
    )


def _storable(value: Any) -> Any:
    """As JSON data without U+0000, which any sender may send and PostgreSQL stores in no text.

    What can't be JSON, or is larger than a header of ours ever is, is left out.
    """
    try:
        plain = orjson.dumps(value, default=str)
    except (TypeError, ValueError):  # nested too deeply
        return {} if isinstance(value, dict) else None
    if len(plain) > MOST_HEADER_BYTES:
        return {} if isinstance(value, dict) else None
    return _without_nul(orjson.loads(plain))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nul(inner) for inner in value]
    return value


def _count(value: object) -> int:
    """Our own attempts; without them the broker gave up after its limit of redeliveries."""
    return value if failure.is_count(value) else topology.DELIVERY_LIMIT


async def list_dead(session: AsyncSession, *, state: str = "dead") -> list[DeadLetterRow]:
    """Dead letters, newest first."""
    found = await session.scalars(
        select(DeadLetterRow).where(DeadLetterRow.state == state).order_by(DeadLetterRow.id.desc())
    )
    return list(found)


async def show(session: AsyncSession, number: int) -> DeadLetterRow:
    row = await session.get(DeadLetterRow, number)
    if row is None:
        raise NoSuchDeadLetter
    return row


async def redrive(
    session: AsyncSession,
    publisher: Publisher,
    number: int,
    *,
    pause: float,
    who: str,
    reason: str,
) -> None:
    """Send the message to its own queue once more, through the first pause of the schedule.

    Attempts start anew. A crash between the confirm and the commit sends it twice; the inbox makes
    that one effect.
    """
    row = await _undecided(session, number)
    if failure.FORGED in row.error:
        raise ForgedLetter
    kept = {k: v for k, v in row.headers.items() if k.startswith(("cloudEvents_", "x-taawon-run"))}
    message = aio_pika.Message(
        row.body,
        headers={**kept, "traceparent": row.headers.get("traceparent")},
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=row.message_id,
        type=row.topic,
        user_id=topology.user_of(publisher.url),
    )
    await publisher.publish_one(Outgoing(message, topology.Tier(pause).name, row.queue))
    await _decide(session, number, "redriven", who, reason)


async def drop(session: AsyncSession, number: int, *, who: str, reason: str) -> None:
    """Decide that the message will have no effect. The row stays, with who and why."""
    await _undecided(session, number)
    await _decide(session, number, "dropped", who, reason)


async def _undecided(session: AsyncSession, number: int) -> DeadLetterRow:
    row = await session.get(DeadLetterRow, number, with_for_update=True)
    if row is None:
        raise NoSuchDeadLetter
    if row.state != "dead":
        raise AlreadyDecided(f"dead letter {number} was {row.state} at {row.decided_at}")
    return row


async def _decide(session: AsyncSession, number: int, state: str, who: str, reason: str) -> None:
    await session.execute(
        update(DeadLetterRow)
        .where(DeadLetterRow.id == number)
        .values(state=state, decided_at=func.now(), decided_by=who, decision_reason=reason)
    )
