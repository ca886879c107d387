"""Dead letters: kept in a table, listed without any change, redriven or dropped by a person."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs
from typer.testing import CliRunner

from devkit.nodes import Postgres
from devkit.pytest_plugin import TestDatabases, Vhost, closed, eventually
from shared.contracts.base import Event
from shared.errors import Conflict
from shared.kernel.commands.dead_letters import app
from shared.kernel.data.tables import AuditRow, DeadLetterRow, InboxRow
from shared.kernel.jobs.job import work_off
from shared.kernel.messaging import dead_letters, failure, topology
from shared.kernel.messaging.addresses import dead_queue
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.retention import delete_decided
from shared.kernel.service import background

from .harness import (
    DELAYS,
    BeamRaised,
    RunningService,
    StoneLaid,
    a_stone,
    depth,
    message_of,
    post,
    running_service,
)


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


QUEUE = "carpentry.take_stone"


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def running_consumer(
    gate: Gate, vhost: Vhost, databases: TestDatabases
) -> AsyncIterator[RunningService]:
    url = databases.kernel()
    async with running_service(
        gate.consumers, vhost.admin_url, vhost.url("carpentry"), url
    ) as made:
        yield made


@pytest.fixture
async def dead_letter(running_consumer: RunningService, vhost: Vhost) -> DeadLetterRow:
    """A stone that was refused."""
    stone = a_stone(7)
    await post(vhost.url("masonry"), message_of(stone), stone.topic)
    return await the_dead_letter(running_consumer)


async def the_dead_letter(service: RunningService, state: str = "dead") -> DeadLetterRow:
    (row,) = await eventually(lambda: service.dead_letters(state))
    return row


async def send_again(service: RunningService, session: AsyncSession, number: int) -> None:
    assert service.runtime.publisher is not None
    why = {"who": "a builder", "reason": "there is room now"}
    await dead_letters.redrive(session, service.runtime.publisher, number, pause=DELAYS[0], **why)


async def redrive(service: RunningService, number: int) -> None:
    async with service.sessions.begin() as session:
        await send_again(service, session, number)


async def test_a_dead_letter_is_in_the_table_and_no_longer_in_the_queue(dead_letter, vhost):
    assert (dead_letter.queue, dead_letter.topic, dead_letter.error) == (
        QUEUE,
        StoneLaid.topic,
        "WallIsFull",
    )
    assert StoneLaid.model_validate_json(dead_letter.body).number == 7
    assert await depth(vhost.admin_url, dead_queue(QUEUE)) == 0


async def test_after_fifty_listings_a_dead_letter_is_redriven_and_has_one_effect(
    dead_letter, gate: Gate, running_consumer: RunningService, monkeypatch: pytest.MonkeyPatch
):
    point_commands_at(running_consumer, monkeypatch)
    why = ("--who", "a builder", "--reason", "there is room now")

    listed = [await run("list", "carpentry", "--json") for _ in range(50)]
    gate.open = True
    said = await run("redrive", "carpentry", str(dead_letter.id), *why)
    await eventually(lambda: running_consumer.count(InboxRow))

    assert [[row["id"] for row in json.loads(each)] for each in listed] == [[dead_letter.id]] * 50
    assert "is on its way" in said
    assert [event.event_id for event in gate.taken] == [uuid.UUID(dead_letter.message_id)]


async def test_a_list_ends_at_its_limit_and_says_that_there_are_more(
    dead_letter, running_consumer: RunningService, vhost: Vhost, monkeypatch: pytest.MonkeyPatch
):
    point_commands_at(running_consumer, monkeypatch)
    stone = a_stone(8)
    await post(vhost.url("masonry"), message_of(stone), stone.topic)
    _, newer = await eventually(lambda: two_dead_letters(running_consumer))

    some = await run("list", "carpentry", "--json", "--limit", "1")
    all_ = await run("list", "carpentry", "--json", "--limit", "2")

    more, said = some.splitlines()
    assert more == "The newest 1 of 2; --limit 2 shows all."
    assert [row["id"] for row in json.loads(said)] == [newer.id]
    assert [row["id"] for row in json.loads(all_)] == [newer.id, dead_letter.id]


async def test_a_list_does_not_load_the_bodies_and_headers_of_dead_letters(
    dead_letter, running_consumer: RunningService
):
    async with running_consumer.sessions() as session:
        (listed,) = await dead_letters.list_dead_letters(session)

    assert (listed.id, listed.error) == (dead_letter.id, "WallIsFull")
    assert not {"body", "headers"} & set(listed._fields)


def point_commands_at(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", service.database_url)
    monkeypatch.setenv("TAAWON_AMQP_URL", service.amqp_url)
    monkeypatch.setenv("TAAWON_RETRY_DELAYS", ",".join(map(str, DELAYS)))
    monkeypatch.setattr("shared.kernel.commands.settings.entry_of", lambda _: None)


async def test_a_redriven_dead_letter_has_one_effect(
    dead_letter, gate: Gate, running_consumer: RunningService
):
    gate.open = True

    await redrive(running_consumer, dead_letter.id)
    await eventually(lambda: running_consumer.count(InboxRow))

    row = await the_dead_letter(running_consumer, "redriven")
    assert (row.decided_by, row.decision_reason) == ("a builder", "there is room now")
    assert [event.event_id for event in gate.taken] == [uuid.UUID(dead_letter.message_id)]


async def test_a_dead_letter_is_redriven_once(
    dead_letter, gate: Gate, running_consumer: RunningService
):
    gate.open = True
    await redrive(running_consumer, dead_letter.id)

    with pytest.raises(dead_letters.AlreadyDecided, match="redriven"):
        await redrive(running_consumer, dead_letter.id)

    await eventually(lambda: running_consumer.count(InboxRow))
    assert len(gate.taken) == 1


async def test_a_redrive_that_was_sent_twice_has_one_effect(
    dead_letter, gate, running_consumer: RunningService
):
    gate.open = True
    async with running_consumer.sessions() as session:
        await dead_letters.redrive(
            session,
            running_consumer.runtime.publisher,
            dead_letter.id,
            pause=DELAYS[0],
            who="a",
            reason="b",
        )
        await session.rollback()  # as after a crash behind the broker's confirm

    await redrive(running_consumer, dead_letter.id)
    await eventually(lambda: running_consumer.count(InboxRow))
    await eventually(lambda: _tiers_are_empty(running_consumer))

    assert len(gate.taken) == 1


async def test_a_redriven_dead_letter_that_dies_again_is_one_row_again(
    dead_letter, running_consumer: RunningService
):
    await redrive(running_consumer, dead_letter.id)

    row = await the_dead_letter(running_consumer)

    assert row.id == dead_letter.id
    assert row.last_failed_at > dead_letter.last_failed_at
    assert (row.decided_at, row.decided_by, row.decision_reason) == (None, None, None)


async def test_every_decision_about_a_dead_letter_is_in_the_audit(
    dead_letter, running_consumer: RunningService
):
    service = running_consumer
    await redrive(service, dead_letter.id)
    await the_dead_letter(service)
    async with service.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a mason", reason="the wall is gone")

    async with service.sessions() as session:
        found = list(await session.scalars(select(AuditRow).order_by(AuditRow.id)))
    audited = [(row.action, (row.after or {})["who"], (row.after or {})["reason"]) for row in found]
    assert audited == [
        ("dead letter redriven", "a builder", "there is room now"),
        ("dead letter dropped", "a mason", "the wall is gone"),
    ]
    assert {str(row.subject_id) for row in found} == {dead_letter.message_id}


YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


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


async def test_a_dropped_dead_letter_stays_with_who_and_why(
    dead_letter, gate, running_consumer: RunningService
):
    async with running_consumer.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a builder", reason="the wall is gone")

    row = await the_dead_letter(running_consumer, "dropped")
    assert (row.decided_by, row.decision_reason) == ("a builder", "the wall is gone")
    with pytest.raises(dead_letters.AlreadyDecided, match="dropped"):
        await redrive(running_consumer, dead_letter.id)


async def test_a_decided_dead_letter_is_deleted_after_its_retention(
    dead_letter, running_consumer: RunningService, vhost: Vhost
):
    service, stone = running_consumer, a_stone(8)
    await post(vhost.url("masonry"), message_of(stone), stone.topic)
    _, newer = await eventually(lambda: two_dead_letters(service))
    async with service.sessions.begin() as session:
        await dead_letters.drop(session, dead_letter.id, who="a builder", reason="the wall is gone")
    await decided_days_ago(service, 89)
    assert service.runtime.engine is not None

    await delete_decided(
        service.runtime.engine, service.runtime.settings.dead_letter_retention_days
    )
    assert [row.id for row in await service.dead_letters("dropped")] == [dead_letter.id]

    await decided_days_ago(service, 91)
    await work_off(background.delete_old(service.runtime))
    assert not await service.dead_letters("dropped")
    assert [row.id for row in await service.dead_letters()] == [newer.id]  # it waits, however long


async def decided_days_ago(service: RunningService, days: int) -> None:
    earlier = text("UPDATE dead_letter SET decided_at = now() - make_interval(days => :days)")
    async with service.sessions.begin() as session:
        await session.execute(earlier, {"days": days})


async def test_an_unknown_number_is_reported(running_consumer: RunningService):
    async with running_consumer.sessions() as session:
        with pytest.raises(dead_letters.NoSuchDeadLetter, match="list"):
            await dead_letters.show(session, 999)
        with pytest.raises(dead_letters.NoSuchDeadLetter):
            await dead_letters.drop(session, 999, who="a", reason="b")


async def test_the_commands_list_show_and_drop(
    dead_letter, running_consumer: RunningService, monkeypatch
):
    point_commands_at(running_consumer, monkeypatch)

    listed = await run("list", "carpentry", "--json")
    shown = await run("show", "carpentry", str(dead_letter.id))
    dropped = await run(
        "drop",
        "carpentry",
        str(dead_letter.id),
        "--who",
        "a builder",
        "--reason",
        "the wall is gone",
    )

    assert [row["queue"] for row in json.loads(listed)] == [QUEUE]
    assert json.loads(shown)["message_id"] == dead_letter.message_id
    assert "is dropped" in dropped


async def run(*arguments: str) -> str:
    """Run the command in a thread, for it starts an event loop of its own; its output."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


async def _tiers_are_empty(service: RunningService) -> bool:
    tiers = [topology.Tier(pause).name for pause in DELAYS]
    return not any([await depth(service.admin_url, name) for name in (*tiers, QUEUE)])


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


async def two_dead_letters(service: RunningService) -> list[DeadLetterRow]:
    rows = await service.dead_letters()
    return rows if len(rows) == 2 else []


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


IMPOSSIBLE = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2019-12-31T00:00:00+00:00"]


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
    assert (row.message_key, row.error) == (str(stone.event_id), dead_letters.NOT_STORABLE)
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


def looks(logs: list[Any]) -> int:
    return sum(line["event"] == "held until the database answers" for line in logs)


def after(seconds: float) -> Callable[[], bool]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end
