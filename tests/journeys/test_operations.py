"""What an operator sees of a running system: nothing wrong, and the whole way of an event."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from devkit.stack_layout import SERVICES

from .request_bodies import a_call, unique
from .stories import Story

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def ask(story: Story, tmp_path: Path) -> Ask:
    """Run a command of an operator on the machine of the stack: its exit code and its JSON."""
    (tmp_path / "stack").symlink_to(story.stack.folder)

    async def ask(*command: str) -> tuple[int, Any]:
        known = {"TAAWON_RUN": str(tmp_path), "TAAWON_OPERATOR_TOKEN": story.operator.token}
        code, out, messages = await story.run(*command, "--json", env={**os.environ, **known})
        return code, json.loads(out) if out else messages

    return ask


async def test_the_doctor_finds_no_error_in_a_system_that_works(story: Story, ask: Ask) -> None:
    async def found() -> list[set[str]]:
        """Dead letters of other journeys are no fault of this one; counts are seconds old."""
        code, findings = await ask("doctor")
        errors = {each["code"] for each in findings if each["severity"] == "error"}
        assert code == (1 if errors else 0)
        return [errors] if errors <= {"dead-letters"} else []

    assert await story.eventually(found)


async def test_every_service_shows_how_it_stands(ask: Ask) -> None:
    code, rows = await ask("status")

    assert code == 0
    assert [row["name"] for row in rows if row["up"] and row["ready"]] == list(SERVICES)
    assert all(row["status"]["revision"] == row["status"]["newest_revision"] for row in rows)
    (notifications,) = [row for row in rows if row["name"] == "notifications"]
    queues = notifications["status"]["consumers"]["queues"]
    assert "notifications.follow_call" in queues


async def test_an_event_is_followed_from_its_outbox_to_its_inbox(story: Story, ask: Ask) -> None:
    call_id = await story.draft_call(a_call())
    named = unique("traced")
    headers = {"X-Correlation-ID": named}
    await story.ask("funding", "POST", f"/calls/{call_id}/open", headers=headers)
    await story.until_alerted(call_id)

    _, by_correlation = await ask("trace", named)

    steps = by_correlation["steps"]
    moments = [(each["service"], each["what"], each["topic"]) for each in steps]
    opened, fanned_out = "funding.call.opened.v1", "notifications.fanout.completed.v1"
    assert moments[0] == ("funding", "written", opened)
    assert ("notifications", "processed", opened) in moments
    assert ("notifications", "written", fanned_out) in moments
    assert "notifications.follow_call" in {each["detail"] for each in steps}
    assert by_correlation["silent"] == {}
    _, by_event = await ask("trace", steps[0]["event_id"])
    assert {(each["service"], each["what"]) for each in by_event["steps"]} >= {
        ("funding", "written"),
        ("notifications", "processed"),
    }


async def test_an_unknown_id_is_said_to_be_unknown(ask: Ask) -> None:
    code, message = await ask("trace", unique("never"))

    assert code == 1
    assert "knows never-" in message
