"""`taawon dead-letters`: list, show, redrive and drop."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from typer.testing import CliRunner

from devkit.pytest_plugin import Vhost, eventually
from shared.kernel.commands.dead_letters import app
from shared.kernel.data.tables import InboxRow

from ..harness import DELAYS, RunningService, a_stone, message_of, post
from .gate import QUEUE, Gate, two_dead_letters


def point_commands_at(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", service.database_url)
    monkeypatch.setenv("TAAWON_AMQP_URL", service.amqp_url)
    monkeypatch.setenv("TAAWON_RETRY_DELAYS", ",".join(map(str, DELAYS)))
    monkeypatch.setattr("shared.kernel.commands.settings.entry_of", lambda _: None)


async def run(*arguments: str) -> str:
    """Run the command in a thread, for it starts an event loop of its own; its output."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


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
