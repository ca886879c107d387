"""The consumers of a service: which events each takes, from which queue, and its handler.

The message processor runs them (`message_processor.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage
from faststream.rabbit.schemas.constants import ExchangeType
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Event

from . import topology

Handler = Callable[[Any, AsyncSession], Awaitable[None]]
H = TypeVar("H", bound=Handler)
Process = Callable[["Consumer", RabbitMessage], Awaitable[None]]
"""Processes one delivery until it is settled."""


@dataclass(frozen=True)
class Consumer:
    """A function of a service with a queue of its own and the events that it takes from it.

    `prefetch` is how many messages it works on at once, `projection` the tables that it keeps.
    """

    queue: str
    events: tuple[type[Event], ...]
    handler: Handler
    prefetch: int
    projection: tuple[str, ...] = ()

    @property
    def rebuildable(self) -> bool:
        """Whether events may be replayed to it: it writes its projection and nothing else."""
        return bool(self.projection)

    @property
    def topics(self) -> tuple[str, ...]:
        """The routing keys by which its queue is bound to the events."""
        return tuple(event.routing_key() for event in self.events)


class Consumers:
    """The consumers of one service. Nothing is connected before `attach`."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.consumers: list[Consumer] = []

    def on(
        self,
        *events: type[Event],
        queue: str,
        prefetch: int = 10,
        projection: Sequence[str] = (),
    ) -> Callable[[H], H]:
        """Register a consumer of these events; its queue is `<service>.<queue>`.

        The queue holds messages that were not consumed yet, so its name must stay when the function
        is renamed; a name that is taken raises ValueError. `prefetch` is how many messages are
        worked on at once. `projection` names the tables that the handler writes, and promises that
        it does nothing else: then events may be replayed to it, to build these tables anew.
        """

        name = f"{self.service}.{queue}"

        def register(handler: H) -> H:
            self._add(
                Consumer(
                    queue=name,
                    events=events,
                    handler=handler,
                    prefetch=prefetch,
                    projection=tuple(projection),
                )
            )
            return handler

        self._refuse_taken(name)
        return register

    @classmethod
    def of(cls, *capabilities: Consumers) -> Consumers:
        """The consumers of all capabilities of a service; ValueError where two share a queue."""
        service = cls(capabilities[0].service)
        for consumer in (each for group in capabilities for each in group.consumers):
            service._add(consumer)
        return service

    def _add(self, consumer: Consumer) -> None:
        self._refuse_taken(consumer.queue)
        self.consumers.append(consumer)

    def _refuse_taken(self, queue: str) -> None:
        if any(known.queue == queue for known in self.consumers):
            raise ValueError(f"queue {queue} has a consumer already")

    def attach(self, broker: RabbitBroker, process: Process) -> None:
        """Subscribe every consumer on a broker made with `apply_types=False`.

        `process` is called for each delivery. The queues must exist: `taawon topology apply`.
        """
        for consumer in self.consumers:
            subscriber = broker.subscriber(
                RabbitQueue(consumer.queue, declare=False, routing_key=consumer.topics[0]),
                RabbitExchange(topology.EVENTS, type=ExchangeType.TOPIC, declare=False),
                channel=Channel(prefetch_count=consumer.prefetch),
                ack_policy=AckPolicy.MANUAL,
                no_reply=True,
                title=consumer.queue,
                description=consumer.handler.__doc__,
                decoder=_leave_whole,
            )
            subscriber(_receiver(consumer, process))


async def _leave_whole(message: Any) -> Any:
    """The processor parses the body itself, so that a wrong body differs from a failing handler.

    As the whole message counts as decoded, nothing has to be injected (`apply_types=False`), which
    would cost more than parsing the message.
    """
    return message


def _receiver(consumer: Consumer, process: Process) -> Callable[[Any], Awaitable[None]]:
    async def receive(message: Any) -> None:
        await process(consumer, message)

    return receive
