"""Runs a consumer, which is a function of an event and a session, on one delivery.

One transaction: inbox row, handler, commit; then the acknowledgement. Three kinds of failure:

- a dependency (the database or the broker) is away: no attempt is spent. The message is held, the
  consumer pauses, looks again, and goes on where it was. Where the database answers each time and
  only this message never gets through, the message is at fault, and the failure is of the third
  kind;
- this message is wrong (it does not validate, or the domain refuses it): dead at once;
- anything else, `NotFound` included, for the event may only be early: tried again after growing
  pauses, a bounded number of times, then dead.

Of a batch that is to be dead, only those records are that are refused alone too (`batches.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import structlog
from faststream.rabbit.annotations import RabbitMessage
from prometheus_client import Counter, Histogram
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import DomainError, NotFound
from shared.kernel import failpoints, outage_causes
from shared.kernel.context import WorkContext, working
from shared.kernel.data.database import (
    Sessions,
    has_no_room,
    is_data_error,
    is_infrastructure,
    until_it_answers,
)
from shared.kernel.data.tables import InboxRow
from shared.kernel.observability import tracing
from shared.kernel.outage_causes import Cause

from . import decoding, topology
from .batches import Batch
from .consumers import Consumer
from .failure import FORGED, Failure, WrongMessage, failed_copy
from .publisher import CONNECTION_ERRORS, Outgoing, Publisher, Unroutable

log = structlog.get_logger()

MOST_UNSETTLED = 5
"""How often a message is tried that fails and can't be sent on; then it is rejected, and its queue
dead-letters it."""

PROBES_IN_VAIN = 20
"""How often a message may fail as if the database were away although that answers at once."""

HANDLED = Counter(
    "taawon_messages_total", "Messages by consumer and outcome.", ["queue", "outcome"]
)
OUTCOMES = ("done", "repeated", "retried", "dead")
"""`repeated`: the inbox knew the message, so it changed nothing."""
MESSAGE_SECONDS = Histogram(
    "taawon_message_seconds",
    "Time from a delivery to its acknowledgement, without waiting for an outage to end.",
    ["queue"],
)


def begin_counting(queue: str) -> None:
    """Begin the series of a queue at 0: otherwise its first failure would not be seen."""
    for outcome in OUTCOMES:
        HANDLED.labels(queue, outcome)


@dataclass
class _Tries:
    """The failures of one delivery so far: how often it could not be settled, and how often its
    work failed as if the database were away, which it was not. `suspect`: the last one may be such.
    `divisions`: how often it was tried record by record.
    """

    unsettled: int = 0
    in_vain: int = 0
    divisions: int = 0
    suspect: bool = False


@dataclass
class MessageProcessor:
    """Processes the deliveries of a service. `delays` are those of the retry tiers, in seconds."""

    sessions: Sessions
    publisher: Publisher
    service: str
    delays: tuple[float, ...]
    probe_seconds: float = 1.0
    verify_sender: bool = True
    _waiting: int = field(default=0, init=False)
    _cause: Cause | None = field(default=None, init=False)

    @property
    def waiting(self) -> int:
        """How many deliveries wait for a dependency that is away."""
        return self._waiting

    @property
    def paused(self) -> bool:
        """Whether any delivery waits for a dependency that is away."""
        return self._waiting > 0

    @property
    def cause(self) -> Cause | None:
        """Why deliveries wait; None where none does."""
        return self._cause if self.paused else None

    async def process(self, consumer: Consumer, message: RabbitMessage) -> None:
        """Process a delivery until it is settled: done, to be tried again later, or dead."""
        context = WorkContext.of(
            correlation_id=decoding.header(message, "cloudEvents_correlationid"),
            causation_id=message.message_id,
            traceparent=decoding.header(message, "traceparent"),
        )
        raw = message.raw_message
        traced = tracing.processing(consumer.queue, raw.type, raw.message_id, len(message.body))
        tries = _Tries()
        with working(context, queue=consumer.queue, event_id=message.message_id), traced as span:
            while True:
                try:
                    with MESSAGE_SECONDS.labels(consumer.queue).time():
                        outcome = await self._settle(consumer, message, tries)
                    span.set_attribute("taawon.outcome", outcome)
                    return
                except Exception as error:
                    # An error beyond the three kinds is a defect of ours: the message is tried
                    # again, but not for ever, for others wait behind it.
                    if not _is_away(error):
                        log.exception("message could not be settled")
                        tries.unsettled += 1
                        if tries.unsettled >= MOST_UNSETTLED:
                            await message.reject(requeue=False)  # the queue dead-letters it
                            HANDLED.labels(consumer.queue, "rejected").inc()
                            return
                    looks = await self._wait_out(error)
                    tries.in_vain += tries.suspect and looks == 1

    async def _settle(self, consumer: Consumer, message: RabbitMessage, tries: _Tries) -> str:
        tries.suspect = False
        try:
            outcome = await self._work(consumer, message)
        except Exception as error:
            away = _is_away(error)
            tries.suspect = away and not has_no_room(error)  # no message causes a want of room
            if away and tries.in_vain < PROBES_IN_VAIN:
                raise
            outcome = await self._give_up_or_retry(consumer, message, error, tries)
        failpoints.reach(f"{consumer.queue}.between-commit-and-ack")
        await message.ack()
        HANDLED.labels(consumer.queue, outcome).inc()
        return outcome

    async def _work(self, consumer: Consumer, message: RabbitMessage) -> str:
        decoding.refuse_undecodable(message)
        self._check_sender(message)
        event = decoding.read(consumer.events, message)
        mark = _inbox_mark(consumer, message)
        async with self.sessions.begin() as session:
            if not await first_time(session, mark):
                return "repeated"
            await consumer.handler(event, session)
            await session.flush()
            failpoints.reach(f"{consumer.queue}.before-commit")
        return "done"

    def _check_sender(self, message: RabbitMessage) -> None:
        """Refuse an event of another service's user; the broker has verified the user id."""
        if not self.verify_sender:
            return
        raw = message.raw_message
        if not decoding.is_from_owner(raw.user_id, raw.type, self.service):
            raise WrongMessage(FORGED)

    async def _give_up_or_retry(
        self, consumer: Consumer, message: RabbitMessage, error: Exception, tries: _Tries
    ) -> str:
        failure = Failure.of(message, error)
        again = not _is_final(error) and failure.attempts <= len(self.delays)
        if not again and not _is_away(error) and tries.divisions < PROBES_IN_VAIN:
            tries.divisions += 1
            outcome = await self._divide(consumer, message, failure)
            if outcome is not None:
                return outcome
        exchange = topology.Tier(self.delays[failure.attempts - 1]).name if again else topology.DEAD
        copy = failed_copy(message, failure, user=topology.user_of(self.publisher.url))
        await self.publisher.publish_one(Outgoing(copy, exchange, consumer.queue))
        if again:
            log.warning("message to be tried again", attempts=failure.attempts, error=failure.error)
            return "retried"
        log.error("message is dead", attempts=failure.attempts, error=failure.error)
        return "dead"

    async def _divide(
        self, consumer: Consumer, message: RabbitMessage, failure: Failure
    ) -> str | None:
        """Store a batch record by record; None where it is none, or no record can be stored.

        The letter of the refused ones is confirmed before the commit: after a crash in between it
        is sent again under the same id.
        """
        try:
            decoding.refuse_undecodable(message)
            self._check_sender(message)
            mark = _inbox_mark(consumer, message)
        except WrongMessage:
            return None
        batch = Batch.of(consumer, message)
        if batch is None:
            return None
        async with self.sessions.begin() as session:
            if not await first_time(session, mark):
                return "repeated"
            refused = await batch.store(session)
            if len(refused) == len(batch.records):
                await session.rollback()
                return None
            if not refused:
                return "done"
            user = topology.user_of(self.publisher.url)
            letter = batch.letter(message, refused, failure, user=user)
            await self.publisher.publish_one(Outgoing(letter, topology.DEAD, consumer.queue))
        log.error(
            "records are dead", refused=len(refused), stored=len(batch.records) - len(refused)
        )
        return "dead"

    async def _wait_out(self, error: Exception) -> int:
        """Hold the message until the database answers; how often that was asked."""
        cause = outage_causes.of_either(error) if _is_away(error) else None  # None: our defect
        self._cause = cause
        log.warning("consumer paused", error=type(error).__name__, cause=cause and str(cause))
        self._waiting += 1
        try:
            looks = await until_it_answers(self.sessions, self.probe_seconds)
        finally:
            self._waiting -= 1
        log.info("consumer goes on")
        return looks


@dataclass(frozen=True)
class InboxMark:
    """What the inbox knows a message by; `source` is the service that owns its topic."""

    queue: str
    event_id: UUID
    run: str
    source: str


def _inbox_mark(consumer: Consumer, message: RabbitMessage) -> InboxMark:
    """Raises `WrongMessage` where the message has no id or names a run that it may not."""
    return InboxMark(
        consumer.queue,
        decoding.event_id(message),
        decoding.run_of(message, replayed=consumer.rebuildable),
        (message.raw_message.type or "").partition(".")[0],
    )


# A text, because building and compiling the statement each time costs a tenth of a message.
_FIRST_TIME = text(
    f"""INSERT INTO {InboxRow.__tablename__} (queue, event_id, run, source)
    VALUES (:queue, :event_id, :run, :source) ON CONFLICT DO NOTHING RETURNING event_id"""
)


async def first_time(session: AsyncSession, mark: InboxMark) -> bool:
    """Write the inbox row; False where it exists, so that the event had its effect before."""
    return await session.scalar(_FIRST_TIME, vars(mark)) is not None


def _is_away(error: BaseException) -> bool:
    """Whether a dependency is missing: the database, the broker, or a queue not declared yet."""
    return is_infrastructure(error) or isinstance(error, (*CONNECTION_ERRORS, Unroutable))


def _is_final(error: BaseException) -> bool:
    """Whether no later attempt can succeed: the message is malformed, or a rule refuses it."""
    if isinstance(error, NotFound):
        return False
    if isinstance(error, WrongMessage | ValidationError | DomainError):
        return True
    return is_data_error(error)
