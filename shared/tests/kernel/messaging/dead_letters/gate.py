"""A consumer that refuses every event until it is opened, and the dead letters that come of it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import eventually
from shared.contracts.base import Event
from shared.errors import Conflict
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import dead_letters
from shared.kernel.messaging.consumers import Consumers

from ..harness import DELAYS, RunningService, StoneLaid

QUEUE = "carpentry.take_stone"


class WallIsFull(Conflict):
    """No stone goes onto a full wall."""


class Gate:
    """A consumer that refuses until it is opened."""

    def __init__(self) -> None:
        self.open = False
        self.taken: list[Event] = []
        self.consumers = Consumers("carpentry")
        self.consumers.on(StoneLaid, queue="take_stone")(self.take_stone)

    async def take_stone(self, event: StoneLaid, session: AsyncSession) -> None:
        """A stone was laid: take it, if there is room."""
        if not self.open:
            raise WallIsFull
        self.taken.append(event)


async def the_dead_letter(service: RunningService, state: str = "dead") -> DeadLetterRow:
    (row,) = await eventually(lambda: service.dead_letters(state))
    return row


async def two_dead_letters(service: RunningService) -> list[DeadLetterRow]:
    rows = await service.dead_letters()
    return rows if len(rows) == 2 else []


async def redrive(service: RunningService, number: int) -> None:
    assert service.runtime.publisher is not None
    why = {"who": "a builder", "reason": "there is room now"}
    async with service.sessions.begin() as session:
        await dead_letters.redrive(
            session, service.runtime.publisher, number, pause=DELAYS[0], **why
        )
