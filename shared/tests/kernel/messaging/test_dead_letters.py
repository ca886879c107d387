"""Dead letters: kept in a table, looked at without harm, sent again or dropped by a person."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
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
from shared.kernel.messaging.retention import forget_decided
from shared.kernel.service import background

from .harness import PAUSES, BeamRaised, House, StoneLaid, a_stone, depth, house, message_of, post


class WallIsFull(Conflict):
    """No stone goes onto a full wall."""


class Gate:
    """A reaction that refuses until it is opened."""

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
async def listening_house(
    gate: Gate, site: Vhost, databases: TestDatabases
) -> AsyncIterator[House]:
    url = databases.kernel()
    async with house(gate.consumers, site.admin_url, site.url("carpentry"), url) as made:
        yield made


@pytest.fixture
async def letter(listening_house: House, site: Vhost) -> DeadLetterRow:
    """A stone that was refused."""
    stone = a_stone(7)
    await post(site.url("masonry"), message_of(stone), stone.topic)
    return await the_letter(listening_house)


async def stored_dead_letters(h: House, state: str = "dead") -> list[DeadLetterRow]:
    query = select(DeadLetterRow).where(DeadLetterRow.state == state)
    async with h.sessions() as session:
        return list(await session.scalars(query.order_by(DeadLetterRow.id.desc())))


async def the_letter(h: House, state: str = "dead") -> DeadLetterRow:
    (row,) = await eventually(lambda: stored_dead_letters(h, state))
    return row


async def effects(h: House) -> int:
    async with h.sessions() as session:
        return int(await session.scalar(select(func.count()).select_from(InboxRow)) or 0)


async def send_again(h: House, session: AsyncSession, number: int) -> None:
    assert h.runtime.publisher is not None
    why = {"who": "a builder", "reason": "there is room now"}
    await dead_letters.redrive(session, h.runtime.publisher, number, pause=PAUSES[0], **why)


async def redrive(h: House, number: int) -> None:
    async with h.sessions.begin() as session:
        await send_again(h, session, number)


async def test_a_dead_letter_is_in_the_table_and_no_longer_in_the_queue(letter, site):
    assert (letter.queue, letter.topic, letter.error) == (QUEUE, StoneLaid.topic, "WallIsFull")
    assert StoneLaid.model_validate_json(letter.body).number == 7
    assert await depth(site.admin_url, dead_queue(QUEUE)) == 0


async def test_after_fifty_listings_a_letter_is_redriven_and_has_one_effect(
    letter, gate: Gate, listening_house: House, monkeypatch: pytest.MonkeyPatch
):
    let_commands_find(listening_house, monkeypatch)
    why = ("--who", "a builder", "--reason", "there is room now")

    listed = [await run("list", "carpentry", "--json") for _ in range(50)]
    gate.open = True
    said = await run("redrive", "carpentry", str(letter.id), *why)
    await eventually(lambda: effects(listening_house))

    assert [[row["id"] for row in json.loads(each)] for each in listed] == [[letter.id]] * 50
    assert "is on its way" in said
    assert [event.event_id for event in gate.taken] == [uuid.UUID(letter.message_id)]


async def test_a_list_ends_at_its_limit_and_says_that_there_are_more(
    letter, listening_house: House, site: Vhost, monkeypatch: pytest.MonkeyPatch
):
    let_commands_find(listening_house, monkeypatch)
    stone = a_stone(8)
    await post(site.url("masonry"), message_of(stone), stone.topic)
    newer, _ = await eventually(lambda: two_letters(listening_house))

    some = await run("list", "carpentry", "--json", "--limit", "1")
    all_ = await run("list", "carpentry", "--json", "--limit", "2")

    more, said = some.splitlines()
    assert more == "The newest 1 of 2; --limit 2 shows all."
    assert [row["id"] for row in json.loads(said)] == [newer.id]
    assert [row["id"] for row in json.loads(all_)] == [newer.id, letter.id]


async def test_a_list_does_not_load_what_the_letters_say(letter, listening_house: House):
    async with listening_house.sessions() as session:
        (listed,) = await dead_letters.list_dead(session)

    assert (listed.id, listed.error) == (letter.id, "WallIsFull")
    assert not {"body", "headers"} & set(listed._fields)


def let_commands_find(h: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", h.database_url)
    monkeypatch.setenv("TAAWON_AMQP_URL", h.amqp_url)
    monkeypatch.setenv("TAAWON_RETRY_PAUSES", ",".join(map(str, PAUSES)))
    monkeypatch.setattr("devkit.settings.installed_services", lambda: {"carpentry"})


async def test_a_redriven_letter_has_one_effect(letter, gate: Gate, listening_house: House):
    gate.open = True

    await redrive(listening_house, letter.id)
    await eventually(lambda: effects(listening_house))

    row = await the_letter(listening_house, "redriven")
    assert (row.decided_by, row.decision_reason) == ("a builder", "there is room now")
    assert [event.event_id for event in gate.taken] == [uuid.UUID(letter.message_id)]


async def test_a_letter_is_redriven_once(letter, gate: Gate, listening_house: House):
    gate.open = True
    await redrive(listening_house, letter.id)

    with pytest.raises(dead_letters.AlreadyDecided, match="redriven"):
        await redrive(listening_house, letter.id)

    await eventually(lambda: effects(listening_house))
    assert len(gate.taken) == 1


async def test_a_redrive_that_was_sent_twice_has_one_effect(letter, gate, listening_house: House):
    gate.open = True
    async with listening_house.sessions() as session:
        await dead_letters.redrive(
            session,
            listening_house.runtime.publisher,
            letter.id,
            pause=PAUSES[0],
            who="a",
            reason="b",
        )
        await session.rollback()  # as a crash after the broker's confirm would

    await redrive(listening_house, letter.id)
    await eventually(lambda: effects(listening_house))
    await eventually(lambda: _tiers_are_empty(listening_house))

    assert len(gate.taken) == 1


async def test_a_redriven_letter_that_dies_again_is_one_row_again(letter, listening_house: House):
    await redrive(listening_house, letter.id)

    row = await the_letter(listening_house)

    assert row.id == letter.id
    assert row.last_failed_at > letter.last_failed_at
    assert (row.decided_at, row.decided_by, row.decision_reason) == (None, None, None)


async def test_every_decision_about_a_letter_is_in_the_audit(letter, listening_house: House):
    h = listening_house
    await redrive(h, letter.id)
    await the_letter(h)
    async with h.sessions.begin() as session:
        await dead_letters.drop(session, letter.id, who="a mason", reason="the wall is gone")

    async with h.sessions() as session:
        found = list(await session.scalars(select(AuditRow).order_by(AuditRow.id)))
    told = [(row.action, (row.after or {})["who"], (row.after or {})["reason"]) for row in found]
    assert told == [
        ("dead letter redriven", "a builder", "there is room now"),
        ("dead letter dropped", "a mason", "the wall is gone"),
    ]
    assert {str(row.subject_id) for row in found} == {letter.message_id}


YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@pytest.mark.parametrize(
    "history",
    [
        {failure.LAST_FAILED: YESTERDAY.isoformat()},
        {"x-death": [{"queue": QUEUE, "reason": "delivery_limit", "time": YESTERDAY}]},
    ],
    ids=["by the reaction", "by the broker"],
)
async def test_a_death_that_comes_twice_changes_no_decision(
    listening_house: House, site: Vhost, history: dict[str, Any]
):
    h, masons = listening_house, site.url("masonry")
    message = message_of(a_stone(1), headers=history)
    await post(masons, message, QUEUE, exchange=topology.DEAD)
    first = await the_letter(h)
    async with h.sessions.begin() as session:
        await dead_letters.drop(session, first.id, who="a builder", reason="the wall is gone")

    # As after a drain that died between its commit and the acknowledgement.
    await post(masons, message, QUEUE, exchange=topology.DEAD)
    await post(masons, message_of(a_stone(2)), QUEUE, exchange=topology.DEAD)
    await the_letter(h)

    row = await the_letter(h, "dropped")
    assert (row.id, row.decided_by, row.last_failed_at) == (first.id, "a builder", YESTERDAY)


async def test_a_dropped_letter_stays_with_who_and_why(letter, gate, listening_house: House):
    async with listening_house.sessions.begin() as session:
        await dead_letters.drop(session, letter.id, who="a builder", reason="the wall is gone")

    row = await the_letter(listening_house, "dropped")
    assert (row.decided_by, row.decision_reason) == ("a builder", "the wall is gone")
    with pytest.raises(dead_letters.AlreadyDecided, match="dropped"):
        await redrive(listening_house, letter.id)


async def test_a_decided_letter_is_forgotten_after_its_retention(
    letter, listening_house: House, site: Vhost
):
    h, stone = listening_house, a_stone(8)
    await post(site.url("masonry"), message_of(stone), stone.topic)
    newer, _ = await eventually(lambda: two_letters(h))
    async with h.sessions.begin() as session:
        await dead_letters.drop(session, letter.id, who="a builder", reason="the wall is gone")
    await decided_days_ago(h, 89)
    assert h.runtime.engine is not None

    await forget_decided(h.runtime.engine, h.runtime.settings.dead_letter_retention_days)
    assert [row.id for row in await stored_dead_letters(h, "dropped")] == [letter.id]

    await decided_days_ago(h, 91)
    await work_off(background.forget_old(h.runtime))
    assert not await stored_dead_letters(h, "dropped")
    assert [row.id for row in await stored_dead_letters(h)] == [newer.id]  # it waits, however long


async def decided_days_ago(h: House, days: int) -> None:
    earlier = text("UPDATE dead_letter SET decided_at = now() - make_interval(days => :days)")
    async with h.sessions.begin() as session:
        await session.execute(earlier, {"days": days})


async def test_an_unknown_number_is_told(listening_house: House):
    async with listening_house.sessions() as session:
        with pytest.raises(dead_letters.NoSuchDeadLetter, match="list"):
            await dead_letters.show(session, 999)
        with pytest.raises(dead_letters.NoSuchDeadLetter):
            await dead_letters.drop(session, 999, who="a", reason="b")


async def test_the_commands_list_show_and_drop(letter, listening_house: House, monkeypatch):
    let_commands_find(listening_house, monkeypatch)

    listed = await run("list", "carpentry", "--json")
    shown = await run("show", "carpentry", str(letter.id))
    dropped = await run(
        "drop", "carpentry", str(letter.id), "--who", "a builder", "--reason", "the wall is gone"
    )

    assert [row["queue"] for row in json.loads(listed)] == [QUEUE]
    assert json.loads(shown)["message_id"] == letter.message_id
    assert "is dropped" in dropped


async def run(*arguments: str) -> str:
    """The command in a thread, for it starts a loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


async def _tiers_are_empty(h: House) -> bool:
    tiers = [topology.Tier(pause).name for pause in PAUSES]
    return not any([await depth(h.admin_url, name) for name in (*tiers, QUEUE)])


async def test_a_forged_letter_replaces_no_genuine_one_and_is_never_redriven(
    letter, gate: Gate, listening_house: House, site: Vhost
):
    beam = BeamRaised(event_id=uuid.UUID(letter.message_id), beam_id=uuid.uuid4())
    gate.open = True

    await post(site.url("masonry"), message_of(beam), QUEUE, exchange=topology.DEAD)
    forged, genuine = await eventually(lambda: two_letters(listening_house))

    assert (genuine.id, genuine.body) == (letter.id, letter.body)
    with pytest.raises(dead_letters.ForgedLetter):
        await redrive(listening_house, forged.id)
    assert gate.taken == []


async def two_letters(h: House) -> list[DeadLetterRow]:
    rows = await stored_dead_letters(h)
    return rows if len(rows) == 2 else []


async def test_a_letter_with_a_nonsense_history_does_not_stop_the_drain(
    listening_house: House, site: Vhost
):
    history = {
        "x-taawon-attempts": "many",
        "x-taawon-first-failed-at": "yesterday",
        "x-taawon-last-failed-at": "2026-11-24T09:00:00",
    }
    stone = a_stone(1)
    message = message_of(stone, headers=history)

    await post(site.url("masonry"), message, QUEUE, exchange=topology.DEAD)

    row = await the_letter(listening_house)
    assert row.attempts == topology.DELIVERY_LIMIT
    assert row.last_failed_at.tzinfo is not None


IMPOSSIBLE = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2019-12-31T00:00:00+00:00"]


@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_a_time_that_can_not_have_been_does_not_stop_the_drain(
    listening_house: House, site: Vhost, moment: str
):
    history = {failure.FIRST_FAILED: moment, failure.LAST_FAILED: moment}

    await post(
        site.url("masonry"), message_of(a_stone(), headers=history), QUEUE, exchange=topology.DEAD
    )

    row = await the_letter(listening_house)
    assert timedelta() <= datetime.now(UTC) - row.first_failed_at < timedelta(hours=1)
    assert row.last_failed_at == row.first_failed_at


async def test_a_reaction_passes_no_impossible_time_on(listening_house: House, site: Vhost):
    stone = a_stone()
    message = message_of(stone, headers={failure.FIRST_FAILED: IMPOSSIBLE[0]})

    await post(site.url("masonry"), message, stone.topic)

    row = await the_letter(listening_house)
    assert row.headers[failure.FIRST_FAILED] == row.headers[failure.LAST_FAILED]


async def test_what_the_database_refuses_is_kept_by_key_and_body(
    listening_house: House, site: Vhost
):
    async with listening_house.sessions.begin() as session:
        await session.execute(text("ALTER TABLE dead_letter ADD CHECK (headers = '{}')"))
    stone = a_stone(7)

    await post(site.url("masonry"), message_of(stone), QUEUE, exchange=topology.DEAD)

    row = await the_letter(listening_house)
    assert (row.message_key, row.error) == (str(stone.event_id), dead_letters.NOT_STORABLE)
    assert StoneLaid.model_validate_json(row.body).number == 7


async def test_the_drain_holds_a_letter_while_the_database_is_away(
    listening_house: House, site: Vhost, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topology, "SETTLE_SECONDS", 0)
    stone = a_stone(1)

    async with closed(postgres, listening_house.database_url):
        await post(site.url("masonry"), message_of(stone), QUEUE, exchange=topology.DEAD)
        with capture_logs() as logs:
            await eventually(lambda: looks(logs) == 1)
            await eventually(after(1))  # ten looks of the drain, each a delivery if it let go

    row = await the_letter(listening_house)
    assert (row.message_id, "x-delivery-count" in row.headers) == (str(stone.event_id), False)
    assert looks(logs) == 1


def looks(logs: list[Any]) -> int:
    return sum(line["event"] == "held until the database answers" for line in logs)


def after(seconds: float) -> Callable[[], bool]:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end
