"""The collector: every dead letter becomes one row, whatever is in it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from devkit.nodes import Postgres
from devkit.pytest_plugin import Vhost, closed, eventually
from shared.contracts.base import Event
from shared.kernel.messaging import dead_letters, failure, topology
from shared.kernel.messaging.addresses import dead_queue

from ..harness import (
    BeamRaised,
    RunningService,
    StoneCut,
    StoneLaid,
    a_stone,
    depth,
    message_of,
    post,
)
from .gate import QUEUE, Gate, redrive, the_dead_letter, two_dead_letters

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
IMPOSSIBLE = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2019-12-31T00:00:00+00:00"]


async def test_a_dead_letter_is_in_the_table_and_no_longer_in_the_queue(dead_letter, vhost):
    assert (dead_letter.queue, dead_letter.topic, dead_letter.error) == (
        QUEUE,
        StoneLaid.topic,
        "WallIsFull",
    )
    assert StoneLaid.model_validate_json(dead_letter.body).number == 7
    assert await depth(vhost.admin_url, dead_queue(QUEUE)) == 0


@pytest.mark.parametrize(
    "history",
    [
        {failure.LAST_FAILED: YESTERDAY.isoformat()},
        {"x-death": [{"queue": QUEUE, "reason": "delivery_limit", "time": YESTERDAY}]},
    ],
    ids=["by the consumer", "by the broker"],
)
async def test_a_failure_that_arrives_twice_changes_no_decision(
    running_consumer: RunningService, vhost: Vhost, history: dict[str, Any]
):
    service, publisher_url = running_consumer, vhost.url("masonry")
    message = message_of(a_stone(1), headers=history)
    await post(publisher_url, message, QUEUE, exchange=topology.DEAD)
    first = await the_dead_letter(service)
    async with service.sessions.begin() as session:
        await dead_letters.drop(session, first.id, who="a builder", reason="the wall is gone")

    # As after a collector that died between its commit and the acknowledgement.
    await post(publisher_url, message, QUEUE, exchange=topology.DEAD)
    await post(publisher_url, message_of(a_stone(2)), QUEUE, exchange=topology.DEAD)
    await the_dead_letter(service)

    row = await the_dead_letter(service, "dropped")
    assert (row.id, row.decided_by, row.last_failed_at) == (first.id, "a builder", YESTERDAY)


async def test_a_forged_dead_letter_replaces_no_genuine_one_and_is_never_redriven(
    dead_letter, gate: Gate, running_consumer: RunningService, vhost: Vhost
):
    beam = BeamRaised(event_id=uuid.UUID(dead_letter.message_id), beam_id=uuid.uuid4())
    gate.open = True

    await post(vhost.url("masonry"), message_of(beam), QUEUE, exchange=topology.DEAD)
    genuine, forged = await eventually(lambda: two_dead_letters(running_consumer))

    assert (genuine.id, genuine.body) == (dead_letter.id, dead_letter.body)
    with pytest.raises(dead_letters.ForgedDeadLetter):
        await redrive(running_consumer, forged.id)
    assert gate.taken == []


@pytest.mark.parametrize("kind", [StoneCut, StoneLaid])
async def test_the_owner_of_events_changes_no_letter_that_the_consumer_sent(
    dead_letter, running_consumer: RunningService, vhost: Vhost, kind: type[Event]
):
    event_id = uuid.UUID(dead_letter.message_id)
    other = kind.model_validate({"event_id": event_id, "stone_id": uuid.uuid4()})

    await post(vhost.url("masonry"), message_of(other), QUEUE, exchange=topology.DEAD)
    kept, later = await eventually(lambda: two_dead_letters(running_consumer))

    assert (kept.id, kept.body, kept.error) == (dead_letter.id, dead_letter.body, "WallIsFull")
    assert kept.last_failed_at == dead_letter.last_failed_at
    assert (failure.FORGED in later.error) is (kind is StoneCut)


async def test_a_letter_that_comes_first_hides_no_message_that_the_consumer_gives_up_on(
    running_consumer: RunningService, vhost: Vhost
):
    true = a_stone(7)
    false = true.model_copy(update={"number": 8})
    await post(vhost.url("masonry"), message_of(false), QUEUE, exchange=topology.DEAD)
    await the_dead_letter(running_consumer)

    await post(vhost.url("masonry"), message_of(true), true.topic)
    _, kept = await eventually(lambda: two_dead_letters(running_consumer))

    assert StoneLaid.model_validate_json(kept.body).number == 7
    assert kept.error == "WallIsFull"


async def test_what_is_redriven_is_what_came_first(running_consumer: RunningService, vhost: Vhost):
    first = a_stone(7)
    for number, moment in ((7, YESTERDAY), (8, YESTERDAY + timedelta(hours=1))):
        letter = message_of(
            first.model_copy(update={"number": number}),
            headers={failure.LAST_FAILED: moment.isoformat()},
        )
        await post(vhost.url("masonry"), letter, QUEUE, exchange=topology.DEAD)
    await eventually(lambda: failed_at(running_consumer, YESTERDAY + timedelta(hours=1)))

    row = await the_dead_letter(running_consumer)
    assert StoneLaid.model_validate_json(row.body).number == 7


async def test_a_dead_letter_with_a_nonsense_history_does_not_stop_the_collector(
    running_consumer: RunningService, vhost: Vhost
):
    history = {
        "x-taawon-attempts": "many",
        "x-taawon-first-failed-at": "yesterday",
        "x-taawon-last-failed-at": "2026-11-24T09:00:00",
    }
    stone = a_stone(1)
    message = message_of(stone, headers=history)

    await post(vhost.url("masonry"), message, QUEUE, exchange=topology.DEAD)

    row = await the_dead_letter(running_consumer)
    assert row.attempts == topology.DELIVERY_LIMIT
    assert row.last_failed_at.tzinfo is not None


@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_an_impossible_time_does_not_stop_the_collector(
    running_consumer: RunningService, vhost: Vhost, moment: str
):
    history = {failure.FIRST_FAILED: moment, failure.LAST_FAILED: moment}

    await post(
        vhost.url("masonry"), message_of(a_stone(), headers=history), QUEUE, exchange=topology.DEAD
    )

    row = await the_dead_letter(running_consumer)
    assert timedelta() <= datetime.now(UTC) - row.first_failed_at < timedelta(hours=1)
    assert row.last_failed_at == row.first_failed_at


async def test_a_consumer_passes_no_impossible_time_on(
    running_consumer: RunningService, vhost: Vhost
):
    stone = a_stone()
    message = message_of(stone, headers={failure.FIRST_FAILED: IMPOSSIBLE[0]})

    await post(vhost.url("masonry"), message, stone.topic)

    row = await the_dead_letter(running_consumer)
    assert row.headers[failure.FIRST_FAILED] == row.headers[failure.LAST_FAILED]


async def test_what_the_database_refuses_is_kept_by_key_and_body(
    running_consumer: RunningService, vhost: Vhost
):
    async with running_consumer.sessions.begin() as session:
        await session.execute(text("ALTER TABLE dead_letter ADD CHECK (headers = '{}')"))
    stone = a_stone(7)

    await post(vhost.url("masonry"), message_of(stone), QUEUE, exchange=topology.DEAD)

    row = await the_dead_letter(running_consumer)
    assert str(stone.event_id) in row.message_key
    assert row.error == dead_letters.NOT_STORABLE
    assert StoneLaid.model_validate_json(row.body).number == 7


async def test_the_collector_holds_a_dead_letter_while_the_database_is_away(
    running_consumer: RunningService,
    vhost: Vhost,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(topology, "SETTLE_SECONDS", 0)
    stone = a_stone(1)

    async with closed(postgres, running_consumer.database_url):
        await post(vhost.url("masonry"), message_of(stone), QUEUE, exchange=topology.DEAD)
        with capture_logs() as logs:
            await eventually(lambda: looks(logs) == 1)
            await eventually(after(1))  # time for ten deliveries, if the collector returned it

    row = await the_dead_letter(running_consumer)
    assert (row.message_id, "x-delivery-count" in row.headers) == (str(stone.event_id), False)
    assert looks(logs) == 1


async def failed_at(service: RunningService, moment: datetime) -> bool:
    return (await the_dead_letter(service)).last_failed_at == moment


def looks(logs: list[Any]) -> int:
    return sum(line["event"] == "held until the database answers" for line in logs)


def after(seconds: float) -> Callable[[], bool]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end
