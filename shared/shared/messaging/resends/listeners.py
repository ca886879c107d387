"""Who would take a fact that is sent again: the broker is asked, for it alone knows every service.

A question is a message to an exchange whose bindings repeat what queues take and lead to one queue
where nothing stays. It comes back where nobody is bound, so no listener is bothered.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from aio_pika import Message

from .. import topology
from ..publisher import Outcome, Outgoing, Publisher, Unroutable
from .domain import BrokerDoesNotAnswer


@dataclass(frozen=True)
class Listening:
    """What the broker knows of a queue; `topics` are those asked for that it takes again."""

    exists: bool
    rebuildable: bool
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Listeners:
    """Asks the broker through the service's own way to it."""

    publisher: Publisher | None

    async def of(self, queue: str, topics: Sequence[str]) -> Listening:
        """What is known of this queue and these topics."""
        if self.publisher is None:
            raise BrokerDoesNotAnswer
        keys = [
            queue,
            topology.rebuildable_key(queue),
            *(topology.takes_key(queue, topic) for topic in topics),
        ]
        user = topology.user_of(self.publisher.url)
        outcomes = await self.publisher.publish(
            Outgoing(Message(b"", message_id=str(uuid.uuid4()), user_id=user), topology.ASKED, key)
            for key in keys
        )
        exists, rebuildable, *takes = map(_is_bound, outcomes)
        taken = tuple(topic for topic, is_taken in zip(topics, takes, strict=True) if is_taken)
        return Listening(exists, rebuildable, taken)


def _is_bound(outcome: Outcome) -> bool:
    if outcome is None:
        return True
    if isinstance(outcome, Unroutable):
        return False
    raise BrokerDoesNotAnswer from outcome
