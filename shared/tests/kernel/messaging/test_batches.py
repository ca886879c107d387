"""Of a batch that a consumer refuses, only the records at fault are dead."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import ClassVar

import orjson
import pytest
from pydantic import Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import TestDatabases, Vhost, eventually
from shared.contracts.base import Contract, Event
from shared.errors import Conflict
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.messaging import dead_letters, failure, outbox
from shared.kernel.messaging.consumers import Consumers

from .harness import DELAYS, BeamRaised, RunningService, message_of, post, running_service

FULL, HUGE, NEGATIVE, DEFECT = 13, 2**40, -1, 99
REMARK = "a private value"


class Stone(Contract):
    """A stone of a delivery."""

    stone_id: uuid.UUID
    number: int = Field(ge=0)
    remark: str = REMARK


class StonesDelivered(Event):
    """Many stones were delivered at once."""

    topic: ClassVar[str] = "masonry.stones.delivered.v1"
    aggregate_field: ClassVar[str] = "delivery_id"
    records_field: ClassVar[str] = "stones"
    record_key: ClassVar[str] = "stone_id"

    delivery_id: uuid.UUID
    stones: tuple[Stone, ...] = Field(min_length=1, max_length=20)


class StonesQuarried(StonesDelivered):
    """An event of the quarry, which masonry may not publish."""

    topic: ClassVar[str] = "quarry.stones.delivered.v1"


class WallIsFull(Conflict):
    """No stone goes onto a full wall."""


class Bricklayers:
    """Lays all stones of a delivery in one go; one that it can't lay fails the whole delivery."""

    def __init__(self) -> None:
        self.has_room = False
        self.consumers = Consumers("carpentry")
        self.consumers.on(StonesDelivered, StonesQuarried, queue="lay_stones")(self.lay_stones)

    async def lay_stones(self, event: StonesDelivered, session: AsyncSession) -> None:
        """Stones were delivered: lay them."""
        for stone in event.stones:
            await session.execute(text("SELECT CAST(:number AS integer)"), {"number": stone.number})
            outbox.add(session, BeamRaised(beam_id=stone.stone_id))
        if not self.has_room and any(stone.number == FULL for stone in event.stones):
            raise WallIsFull
        if any(stone.number == DEFECT for stone in event.stones):
            raise RuntimeError(REMARK)


@pytest.fixture
def bricklayers() -> Bricklayers:
    return Bricklayers()


@pytest.fixture
async def service(
    bricklayers: Bricklayers, vhost: Vhost, databases: TestDatabases
) -> AsyncIterator[RunningService]:
    async with running_service(
        bricklayers.consumers, vhost.admin_url, vhost.url("carpentry"), databases.kernel()
    ) as made:
        yield made


def a_delivery(*bad: int, good: int = 7) -> StonesDelivered:
    numbers = [*bad[:1], *range(1, good + 1), *bad[1:]]
    stones = [
        Stone.model_construct(stone_id=uuid.uuid4(), number=n, remark=REMARK) for n in numbers
    ]
    return StonesDelivered.model_construct(
        event_id=uuid.uuid4(), delivery_id=uuid.uuid4(), stones=tuple(stones)
    )


def ids_of(delivery: StonesDelivered, *numbers: int) -> set[uuid.UUID]:
    return {each.stone_id for each in delivery.stones if not numbers or each.number in numbers}


async def deliver(vhost: Vhost, delivery: StonesDelivered) -> None:
    await post(vhost.url("masonry"), message_of(delivery), StonesDelivered.topic)


async def laid(service: RunningService) -> list[uuid.UUID]:
    async with service.sessions() as session:
        bodies = await session.scalars(select(OutboxRow.body))
        return [BeamRaised.model_validate_json(body).beam_id for body in bodies]


async def the_letter(service: RunningService, state: str = "dead") -> DeadLetterRow:
    (row,) = await eventually(lambda: service.dead_letters(state))
    return row


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (FULL, "WallIsFull"),
        (HUGE, "DBAPIError"),
        (NEGATIVE, "ValidationError(stones.0.number: greater_than_equal"),
        (DEFECT, "RuntimeError"),
    ],
    ids=["a rule", "a column", "the contract", "a defect"],
)
async def test_records_that_are_refused_are_dead_alone_and_the_others_take_effect_once(
    service: RunningService, vhost: Vhost, number: int, error: str
):
    delivery = a_delivery(number, number)

    for _ in range(2):  # as after a lost acknowledgement
        await deliver(vhost, delivery)
        row = await the_letter(service)

    bad = ids_of(delivery, number)
    assert {uuid.UUID(each["stone_id"]) for each in orjson.loads(row.body)["stones"]} == bad
    assert row.error.startswith(error)
    assert " in 2 of 9: " in row.error
    assert all(str(each) in row.error for each in bad)
    assert REMARK not in row.error
    assert sorted(await laid(service)) == sorted(ids_of(delivery) - bad)


async def test_a_letter_of_records_can_be_redriven_and_takes_effect_once(
    service: RunningService, vhost: Vhost, bricklayers: Bricklayers
):
    delivery = a_delivery(FULL, FULL)
    await deliver(vhost, delivery)
    row = await the_letter(service)
    bricklayers.has_room = True

    assert service.runtime.publisher is not None
    async with service.sessions.begin() as session:
        await dead_letters.redrive(
            session, service.runtime.publisher, row.id, pause=DELAYS[0], who="a", reason="room"
        )

    await eventually(lambda: are_laid(service, len(delivery.stones)))
    assert sorted(await laid(service)) == sorted(ids_of(delivery))


async def are_laid(service: RunningService, many: int) -> bool:
    return len(await laid(service)) == many


async def test_a_batch_without_one_good_record_is_dead_as_it_is(
    service: RunningService, vhost: Vhost
):
    delivery = a_delivery(FULL, HUGE, good=0)

    await deliver(vhost, delivery)
    row = await the_letter(service)

    assert row.message_id == str(delivery.event_id)
    assert len(orjson.loads(row.body)["stones"]) == 2
    assert await laid(service) == []


async def test_of_a_batch_that_nobody_may_send_nothing_is_stored(
    service: RunningService, vhost: Vhost
):
    message = message_of(a_delivery(FULL), type=StonesQuarried.topic)
    await post(vhost.url("masonry"), message, StonesDelivered.topic)
    row = await the_letter(service)

    assert failure.FORGED in row.error
    assert await laid(service) == []
