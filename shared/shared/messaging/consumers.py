"""The way in: a reaction is a function of a fact and a session; the kernel does the rest.

One transaction: inbox row, handler, commit; then the acknowledgement. Three kinds of failure:

- infrastructure (the database or the broker is away): spends no attempt. The message is held, the
  reaction pauses, looks again, and goes on where it was;
- this message is wrong (it does not validate, or the domain refuses it): dead at once;
- anything else, `NotFound` included, for the fact may only be early: again after growing pauses, a
  bounded number of times, then dead.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import structlog
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage
from faststream.rabbit.schemas.constants import ExchangeType
from prometheus_client import Counter, Histogram
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import causes, failpoints, tracing
from shared.causes import Cause
from shared.context import WorkContext, working
from shared.contracts.base import Event
from shared.database import Sessions, is_data_error, is_infrastructure
from shared.errors import DomainError, NotFound

from . import intake, topology
from .failure import FORGED, Failure, WrongMessage, parked_copy
from .publisher import CONNECTION_ERRORS, Outgoing, Publisher, Unroutable
from .tables import InboxRow

log = structlog.get_logger()

Handler = Callable[[Any, AsyncSession], Awaitable[None]]
H = TypeVar("H", bound=Handler)

UNSETTLED_LOOKS = 5
"""How often a message is tried that neither works nor can be sent on; then its queue parts with it.
"""

HANDLED = Counter(
    "taawon_messages_total", "Messages by reaction and outcome.", ["queue", "outcome"]
)
OUTCOMES = ("done", "repeated", "retried", "dead")
"""Repeated: the inbox knew the message, so it changed nothing."""
MESSAGE_SECONDS = Histogram(
    "taawon_message_seconds",
    "Time from a delivery to its acknowledgement, without what is waited for.",
    ["queue"],
)


@dataclass(frozen=True)
class Reaction:
    """What a service does when it hears certain facts; one queue of its own."""

    queue: str
    events: tuple[type[Event], ...]
    handler: Handler
    prefetch: int
    projection: tuple[str, ...] = ()

    @property
    def rebuildable(self) -> bool:
        """Whether it may hear facts again: it writes tables of its own and nothing else."""
        return bool(self.projection)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(event.topic for event in self.events)


class Consumers:
    """The reactions of one service. Nothing is connected before `attach`."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.reactions: list[Reaction] = []

    def on(
        self, *events: type[Event], prefetch: int = 10, projection: Sequence[str] = ()
    ) -> Callable[[H], H]:
        """Register a reaction; its queue is `<service>.<name of the function>`.

        `prefetch` bounds how many messages are worked on at once. `projection` names the tables
        that the handler writes, and promises that it does nothing else: then facts may be sent to
        it again, to build these tables anew.
        """

        def register(handler: H) -> H:
            self.reactions.append(
                Reaction(
                    queue=f"{self.service}.{handler.__name__}",
                    events=events,
                    handler=handler,
                    prefetch=prefetch,
                    projection=tuple(projection),
                )
            )
            return handler

        return register

    def attach(self, broker: RabbitBroker, desk: Desk) -> None:
        """Subscribe every reaction on a broker made with `apply_types=False`.

        Queues must exist: `taawon topology apply`.
        """
        for reaction in self.reactions:
            _begin_counting(reaction.queue)
            subscriber = broker.subscriber(
                RabbitQueue(reaction.queue, declare=False, routing_key=reaction.topics[0]),
                RabbitExchange(topology.EVENTS, type=ExchangeType.TOPIC, declare=False),
                channel=Channel(prefetch_count=reaction.prefetch),
                ack_policy=AckPolicy.MANUAL,
                no_reply=True,
                title=reaction.queue,
                description=reaction.handler.__doc__,
                decoder=_leave_whole,
            )
            subscriber(_receiver(reaction, desk))


def _begin_counting(queue: str) -> None:
    """A series that begins at 0 shows its first failure; one that begins with it does not."""
    for outcome in OUTCOMES:
        HANDLED.labels(queue, outcome)


async def _leave_whole(message: Any) -> Any:
    """The desk parses the body itself, so that a wrong one is told apart from a failing handler.

    With the whole message as what was decoded, nothing has to be injected (`apply_types=False`),
    which would cost more than reading the message.
    """
    return message


def _receiver(reaction: Reaction, desk: Desk) -> Callable[[Any], Awaitable[None]]:
    async def receive(message: Any) -> None:
        await desk.take(reaction, message)

    return receive


@dataclass
class Desk:
    """Where messages are worked on: knows the database, the pauses and the way to the dead."""

    sessions: Sessions
    publisher: Publisher
    service: str
    pauses: tuple[float, ...]
    probe_seconds: float = 1.0
    verify_sender: bool = True
    _waiting: int = field(default=0, init=False)
    _cause: Cause | None = field(default=None, init=False)

    @property
    def waiting(self) -> int:
        """How many deliveries wait for something that is away."""
        return self._waiting

    @property
    def paused(self) -> bool:
        """Whether any delivery waits for something that is away."""
        return self._waiting > 0

    @property
    def cause(self) -> Cause | None:
        """Why deliveries wait; None where none does."""
        return self._cause if self.paused else None

    async def take(self, reaction: Reaction, message: RabbitMessage) -> None:
        """Work on a delivery until it is settled: done, to be tried again later, or dead."""
        context = WorkContext.of(
            correlation_id=intake.header(message, "cloudEvents_correlationid"),
            causation_id=message.message_id,
            traceparent=intake.header(message, "traceparent"),
        )
        raw = message.raw_message
        seen = tracing.processing(reaction.queue, raw.type, raw.message_id, len(message.body))
        looks = itertools.count(1)
        with working(context, queue=reaction.queue, event_id=message.message_id), seen as span:
            while True:
                try:
                    with MESSAGE_SECONDS.labels(reaction.queue).time():
                        outcome = await self._settle(reaction, message)
                    span.set({"taawon.outcome": outcome})
                    return
                except Exception as error:
                    # An error that got past the three kinds is ours: the message waits for us too,
                    # but not for ever, for others wait behind it.
                    if not _is_away(error):
                        log.exception("message could not be settled")
                        if next(looks) >= UNSETTLED_LOOKS:
                            await message.reject(requeue=False)  # the queue's net: it is kept
                            HANDLED.labels(reaction.queue, "rejected").inc()
                            return
                    await self._wait_out(error)

    async def _settle(self, reaction: Reaction, message: RabbitMessage) -> str:
        try:
            outcome = await self._work(reaction, message)
        except Exception as error:
            if _is_away(error):
                raise
            outcome = await self._give_up_or_retry(reaction, message, error)
        failpoints.reach(f"{reaction.queue}.between-commit-and-ack")
        await message.ack()
        HANDLED.labels(reaction.queue, outcome).inc()
        return outcome

    async def _work(self, reaction: Reaction, message: RabbitMessage) -> str:
        intake.refuse_undecodable(message)
        self._check_sender(message)
        event = intake.read(reaction.events, message)
        event_id = intake.event_id(message)
        run = intake.run_of(message, resent=reaction.rebuildable)
        async with self.sessions.begin() as session:
            if not await first_time(session, reaction.queue, event_id, run):
                return "repeated"
            await reaction.handler(event, session)
            await session.flush()
            failpoints.reach(f"{reaction.queue}.before-commit")
        return "done"

    def _check_sender(self, message: RabbitMessage) -> None:
        """Only a service's own user announces its facts: the broker has verified the user id."""
        if not self.verify_sender:
            return
        raw = message.raw_message
        if not intake.is_from_owner(raw.user_id, raw.type, self.service):
            raise WrongMessage(FORGED)

    async def _give_up_or_retry(
        self, reaction: Reaction, message: RabbitMessage, error: Exception
    ) -> str:
        failure = Failure.of(message, error)
        again = not _is_final(error) and failure.attempts <= len(self.pauses)
        exchange = topology.Tier(self.pauses[failure.attempts - 1]).name if again else topology.DEAD
        copy = parked_copy(message, failure, user=topology.user_of(self.publisher.url))
        await self.publisher.publish_one(Outgoing(copy, exchange, reaction.queue))
        if again:
            log.warning("message to be tried again", attempts=failure.attempts, error=failure.error)
            return "retried"
        log.error("message is dead", attempts=failure.attempts, error=failure.error)
        return "dead"

    async def _wait_out(self, error: Exception) -> None:
        """Hold the message while what we stand on is away; no attempt is spent."""
        self._cause = causes.of_either(error)
        log.warning("reaction paused", error=type(error).__name__, cause=str(self._cause))
        self._waiting += 1
        try:
            while True:
                await asyncio.sleep(self.probe_seconds)
                if await self._answers():
                    break
        finally:
            self._waiting -= 1
        log.info("reaction goes on")

    async def _answers(self) -> bool:
        try:
            async with self.sessions() as session:
                await session.execute(select(1))
        except Exception:
            return False
        return True


# A text, for building and compiling the statement anew would be a tenth of a message's cost.
_FIRST_TIME = text(
    f"""INSERT INTO {InboxRow.__tablename__} (queue, event_id, run)
    VALUES (:queue, :event_id, :run) ON CONFLICT DO NOTHING RETURNING event_id"""
)


async def first_time(session: AsyncSession, queue: str, event_id: UUID, run: str = "") -> bool:
    """Write the inbox row; False where it exists, so the effect is there already."""
    mark = {"queue": queue, "event_id": event_id, "run": run}
    return await session.scalar(_FIRST_TIME, mark) is not None


def _is_away(error: BaseException) -> bool:
    """Something that we stand on is missing: database, broker, or a queue nobody declared yet."""
    return is_infrastructure(error) or isinstance(error, (*CONNECTION_ERRORS, Unroutable))


def _is_final(error: BaseException) -> bool:
    """Trying again can't help: the message is malformed, or a rule refuses what it says."""
    if isinstance(error, NotFound):
        return False
    if isinstance(error, WrongMessage | ValidationError | DomainError):
        return True
    return is_data_error(error)


def by_queue(consumers: Iterable[Consumers]) -> dict[str, Reaction]:
    """Every reaction under the name of its queue."""
    return {r.queue: r for group in consumers for r in group.reactions}
