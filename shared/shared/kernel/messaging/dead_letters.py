"""The table of dead letters: messages stay in it until an operator redrives or drops them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import aio_pika
import orjson
import structlog
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Event
from shared.errors import Conflict, NotFound
from shared.kernel.data import audit
from shared.kernel.data.database import is_infrastructure
from shared.kernel.data.tables import DeadLetterRow
from shared.sentences import Sentence

from . import erasure, failure, timestamps, topology
from .decoding import is_from_owner
from .publisher import Outgoing, Publisher

log = structlog.get_logger()

MOST_HEADER_BYTES = 16 * 1024
LIMIT_REACHED = "delivery limit of the broker reached"
NOT_STORABLE = "its properties can't be stored: see the log of the service"


class NoSuchDeadLetter(NotFound):
    """There is no dead letter of that number: list them with `taawon dead-letters list`."""


class ForgedDeadLetter(Conflict):
    """Its sender had no right to this event: drop it, and find out who sent it."""


class AlreadyDecided(Conflict):
    """This dead letter was redriven or dropped before."""


class Listed(NamedTuple):
    """A dead letter as a list shows it."""

    id: int
    queue: str
    topic: str | None
    message_id: str | None
    error: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    state: str
    decided_by: str | None
    decision_reason: str | None


async def keep(
    session: AsyncSession,
    queue: str,
    message: AbstractIncomingMessage,
    *,
    takes: Sequence[type[Event]],
) -> None:
    """Write one row per queue and message; a redriven message that failed again updates its row.

    `takes` are the events that the queue takes: of any other, only its own consumer sends a letter.
    Where the database refuses a dead letter as it is, its properties are left out: a letter that is
    returned to its queue for ever would block all others.
    """
    row = await _row_of(session, queue, message, takes)
    try:
        async with session.begin_nested():
            await _write(session, row)
    except DBAPIError as error:
        if is_infrastructure(error):
            raise
        # Without the text of the error, which may contain values of the letter.
        kind = type(error).__name__
        log.error("dead letter kept without its properties", queue=queue, error=kind)
        await _write(session, _bare(row))


async def _row_of(
    session: AsyncSession,
    queue: str,
    message: AbstractIncomingMessage,
    takes: Sequence[type[Event]],
) -> dict[str, Any]:
    """The row of a dead letter.

    Every service may write to the dead-letter exchange. So a letter that its verified sender had no
    right to gets a key that no genuine letter has, and can't be redriven.
    """
    headers = _storable(dict(message.headers))
    last = _last_death(headers) or datetime.now(UTC)
    error = str(headers.get(failure.ERROR, LIMIT_REACHED))
    genuine = _is_genuine(queue, message, takes)
    forged = not genuine or failure.FORGED in error
    key = _digest(message) if forged else _key(queue, message, headers)
    return {
        "queue": queue,
        "message_key": f"forged:{key}" if forged else key,
        "message_id": _storable(message.message_id),
        "topic": _storable(message.type),
        "body": await erasure.cleaned(session, message.body),
        "headers": headers,
        "error": error if genuine else failure.FORGED,
        "attempts": _count(headers.get(failure.ATTEMPTS)),
        "first_failed_at": timestamps.moment(headers.get(failure.FIRST_FAILED)) or last,
        "last_failed_at": last,
    }


def _is_genuine(queue: str, message: AbstractIncomingMessage, takes: Sequence[type[Event]]) -> bool:
    """Whether the consumer of the queue sent it, or the broker what the owner of an event sent."""
    service = queue.partition(".")[0]
    if message.user_id == service:
        return True
    is_taken = any(event.is_type(message.type) for event in takes)
    return is_taken and is_from_owner(message.user_id, message.type, service)


def _key(queue: str, message: AbstractIncomingMessage, headers: dict[str, Any]) -> str:
    """What tells genuine letters of one queue apart; ids alone do not, for anybody may repeat one.

    A letter of another type, of another sender or of a replay is another one. What the consumer
    sends and what the broker sends in the owner's name differ, so no owner writes to the row of a
    message that our own consumer gave up on.
    """
    sender = "consumer" if message.user_id == queue.partition(".")[0] else "broker"
    parts = [sender, message.type, message.message_id or _digest(message)]
    run = headers.get(topology.RUN_HEADER)
    return ":".join(map(str, [*parts, run] if run else parts)).replace("\0", "")[:500]


def _digest(message: AbstractIncomingMessage) -> str:
    return hashlib.sha256(message.body).hexdigest()


def _last_death(headers: dict[str, Any]) -> datetime | None:
    """The last failure: as the consumer noted it, or the broker where that gave the message up."""
    deaths = headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    by_broker = latest.get("time") if isinstance(latest, dict) else None
    moments = map(timestamps.moment, (headers.get(failure.LAST_FAILED), by_broker))
    return max(filter(None, moments), default=None)


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """The row with no more of the letter than its queue, its key and its body."""
    error = row["error"] if row["error"] == failure.FORGED else NOT_STORABLE
    return {**row, "message_id": None, "topic": None, "headers": {}, "error": error}


async def _write(session: AsyncSession, row: dict[str, Any]) -> None:
    """A known failure changes nothing, whatever was decided; another one is to be decided anew.

    Another is one at another time, not a later one: clocks of two replicas may differ. What is
    redriven stays what came first.
    """
    given = insert(DeadLetterRow).values(row)
    key = ["queue", "message_key"]
    failed = ("error", "attempts", "first_failed_at", "last_failed_at")
    changed: dict[str, Any] = {name: given.excluded[name] for name in failed}
    undecided = {"state": "dead", "decided_at": None, "decided_by": None, "decision_reason": None}
    await session.execute(
        given.on_conflict_do_update(
            index_elements=key,
            set_={**changed, **undecided},
            where=DeadLetterRow.last_failed_at != given.excluded.last_failed_at,
        )
    )


def _storable(value: Any) -> Any:
    """The value as JSON data without U+0000, which PostgreSQL can't store in a text.

    A value that can't be JSON, or is larger than our headers ever are, is left out.
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
    """The attempts in our own header; without it the broker reached its limit of redeliveries."""
    return value if failure.is_count(value) else topology.DELIVERY_LIMIT


async def list_dead_letters(
    session: AsyncSession, *, state: str = "dead", limit: int = 100
) -> list[Listed]:
    """The newest dead letters in this state, without bodies and headers: there may be very many."""
    columns = [getattr(DeadLetterRow, name) for name in Listed._fields]
    query = select(*columns).where(DeadLetterRow.state == state).order_by(DeadLetterRow.id.desc())
    return [Listed(*row) for row in await session.execute(query.limit(limit))]


async def count_dead_letters(session: AsyncSession, *, state: str = "dead") -> int:
    """How many there are in this state."""
    query = select(func.count()).select_from(DeadLetterRow).where(DeadLetterRow.state == state)
    return await session.scalar(query) or 0


async def show(session: AsyncSession, number: int) -> DeadLetterRow:
    """The dead letter with this number; raises `NoSuchDeadLetter` where there is none."""
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
    """Send the message to its own queue once more, through the retry tier of `pause` seconds.

    Its attempts start anew. A crash between the confirm and the commit sends it twice; thanks to
    the inbox that has one effect. Raises `NoSuchDeadLetter`, `AlreadyDecided`, or
    `ForgedDeadLetter` for one whose sender had no right to the event.
    """
    row = await _undecided(session, number)
    if failure.FORGED in row.error:
        raise ForgedDeadLetter
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
    _decide(session, row, "redriven", who, reason)


async def drop(session: AsyncSession, number: int, *, who: str, reason: str) -> None:
    """Decide that the message will have no effect. The row stays, with who decided and why.

    Raises `NoSuchDeadLetter` or `AlreadyDecided`.
    """
    row = await _undecided(session, number)
    _decide(session, row, "dropped", who, reason)


async def _undecided(session: AsyncSession, number: int) -> DeadLetterRow:
    row = await session.get(DeadLetterRow, number, with_for_update=True)
    if row is None:
        raise NoSuchDeadLetter
    if row.state != "dead":
        raise AlreadyDecided(
            Sentence(
                "dead letter {number} was {state} at {decided_at}",
                number=number,
                state=row.state,
                decided_at=row.decided_at,
            )
        )
    return row


def _decide(session: AsyncSession, row: DeadLetterRow, state: str, who: str, reason: str) -> None:
    """Store the decision in the row, which has the last one, and in the audit, which has all."""
    row.state, row.decided_at = state, datetime.now(UTC)
    row.decided_by, row.decision_reason = who, reason
    audit.record(
        session,
        None,
        action=f"dead letter {state}",
        subject_id=_event_of(row),
        after={
            "number": row.id,
            "queue": row.queue,
            "error": row.error,
            "who": who,
            "reason": reason,
        },
    )


def _event_of(row: DeadLetterRow) -> UUID | None:
    """The id of the event; a wrong message may have none."""
    try:
        return UUID(row.message_id or "")
    except ValueError:
        return None
