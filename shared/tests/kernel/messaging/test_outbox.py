"""The outbox takes no event that its consumers would refuse for its size."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import ClassVar

import pytest

from shared.contracts.base import MOST_EVENT_BYTES, Contract, Event
from shared.errors import Kind
from shared.kernel.messaging import outbox
from shared.kernel.messaging.outbox import EventTooLarge

from .harness import EventSource, a_stone


class Block(Contract):
    """A stone with marks on it."""

    marks: str


class BlocksLaid(Event):
    """Blocks were laid."""

    topic: ClassVar[str] = "masonry.blocks.laid.v1"
    aggregate_field: ClassVar[str] = "wall_id"

    wall_id: uuid.UUID
    blocks: tuple[Block, ...] = ()
    first: Block | None = None


def laid(blocks: Sequence[Block] = (), first: Block | None = None) -> BlocksLaid:
    return BlocksLaid(wall_id=uuid.uuid4(), blocks=tuple(blocks), first=first)


def marked(size: int) -> BlocksLaid:
    """An event of exactly so many bytes."""
    bare = len(outbox.row_for(laid(first=Block(marks=""))).body)
    return laid(first=Block(marks="x" * (size - bare)))


async def test_nothing_is_stored_with_an_event_that_is_too_large(source: EventSource) -> None:
    with pytest.raises(EventTooLarge):
        await source.write(a_stone(), marked(MOST_EVENT_BYTES + 1))

    assert await source.rows() == []


def test_an_event_of_the_largest_size_is_taken() -> None:
    assert len(outbox.row_for(marked(MOST_EVENT_BYTES)).body) == MOST_EVENT_BYTES


def test_the_refusal_names_the_field_that_is_too_long() -> None:
    with pytest.raises(EventTooLarge, match="shorten or divide marks") as refused:
        outbox.row_for(marked(MOST_EVENT_BYTES + 1))

    assert refused.value.kind is Kind.INVALID
    assert [problem.field for problem in refused.value.problems] == ["marks"]


def test_of_a_list_the_list_is_named() -> None:
    with pytest.raises(EventTooLarge, match="shorten or divide blocks"):
        outbox.row_for(laid([Block(marks="x" * 600_000)] * 2))


def test_records_are_divided_by_their_bytes_and_keep_their_order() -> None:
    blocks = [Block(marks=f"{number} " + "é" * 100_000) for number in range(20)]

    events = list(outbox.divided(blocks, laid))

    assert [each for event in events for each in event.blocks] == blocks
    assert all(len(outbox.row_for(event).body) <= MOST_EVENT_BYTES for event in events)
    assert len(events) == 4


def test_records_that_fit_into_one_event_are_not_divided() -> None:
    blocks = [Block(marks="x")] * 500

    assert [event.blocks for event in outbox.divided(blocks, laid)] == [tuple(blocks)]


def test_a_record_that_is_too_large_alone_is_refused_alone() -> None:
    small, large = Block(marks="x"), Block(marks="x" * MOST_EVENT_BYTES)

    first, second = outbox.divided([small, large], laid)

    assert outbox.row_for(first)
    with pytest.raises(EventTooLarge):
        outbox.row_for(second)
