"""A partner that reads its own queue with its own login, all the time."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import aio_pika

from shared.kernel.messaging.publisher import CONNECTION_ERRORS

from ..journeys.stories import Partner, PartnerQueue


@dataclass
class StreamReader:
    """What came on the queue, in the order of arrival."""

    partner: Partner
    partner_queue: PartnerQueue
    came: list[tuple[int, UUID]] = field(default_factory=list)
    """Number in the feed and id of the event, repeats included."""

    async def read(self) -> None:
        """Until cancelled; a lost connection is made anew."""
        while True:
            with suppress(*CONNECTION_ERRORS, RuntimeError):
                await self._read_once()
            await asyncio.sleep(0.5)

    async def _read_once(self) -> None:
        connection = await aio_pika.connect(f"{self.partner_queue.url}?heartbeat=2", timeout=5)
        lost = asyncio.Event()
        async with connection:
            connection.close_callbacks.add(lambda *_: lost.set())
            channel = await connection.channel()
            channel.close_callbacks.add(lambda *_: lost.set())
            await channel.set_qos(20)
            queue = await channel.get_queue(self.partner_queue.queue, ensure=False)
            await queue.consume(self._receive)
            await lost.wait()

    async def _receive(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        number = int(str(message.headers["cloudEvents_sequence"]))
        self.came.append((number, UUID(message.message_id)))
        with suppress(*CONNECTION_ERRORS, RuntimeError):
            await message.ack()

    @property
    def repeats(self) -> int:
        return len(self.came) - len({number for number, _ in self.came})

    def faults(self, feed: list[tuple[int, UUID]]) -> list[str]:
        """What is wrong with what came, compared with the feed of this partner."""
        came = _first_of_each(self.came)
        found = []
        if missing := set(feed) - set(came):
            found.append(f"{self.partner.slug} missed {len(missing)} events on its queue")
        if strange := set(self.came) - set(feed):
            found.append(f"{self.partner.slug} got {len(strange)} events that its feed has not")
        numbers = [number for number, _ in came]
        if numbers != sorted(numbers):
            found.append(f"{self.partner.slug} got events out of order")
        ids = Counter(event for _, event in came)
        if doubled := [event for event, count in ids.items() if count > 1]:
            found.append(f"{self.partner.slug} got {len(doubled)} events under two numbers")
        return found


def _first_of_each(came: list[tuple[int, UUID]]) -> list[tuple[int, UUID]]:
    seen: set[int] = set()
    firsts = []
    for number, event in came:
        if number not in seen:
            seen.add(number)
            firsts.append((number, event))
    return firsts
