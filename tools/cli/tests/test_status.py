"""`taawon status` shows the whole system in one table."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from cli import program
from cli.client import OperatorClient
from cli.commands import status as command
from cli.diagnosis.observations import BrokerObservation, QueueObservation, ServiceObservation
from shared.kernel.admin.schemas import ConsumersState, DatabaseState, OutboxState, Status

QUEUES = ["notifications.follow_call", "notifications.follow_idea"]
CHECKS = {"database": True, "consumers": True, "not_paused": True}
URL = ["--url", "registry=http://127.0.0.1:1"]


def a_service(
    name: str, *, measured: dict[str, float] | None = None, **reported: Any
) -> ServiceObservation:
    status = Status(
        service=name,
        version="1.0",
        revision="walls",
        newest_revision="walls",
        database=DatabaseState(answers=True),
        outbox=OutboxState(pending=2, oldest_seconds=4.2),
        dead_letters={},
        consumers=ConsumersState(
            consuming=True, paused=False, queues=QUEUES if name == "notifications" else []
        ),
        seals=True,
        measured=measured or {},
    ).model_copy(update=reported)
    return ServiceObservation(name, f"http://{name}:8000", checks=CHECKS, status=status)


def the_system(**behind: float) -> tuple[tuple[ServiceObservation, ...], BrokerObservation]:
    registry = a_service(
        "registry",
        measured={"taawon_register_cooperatives": 65_315.0, "taawon_register_versions": 70_000.0},
    )
    notifications = a_service(
        "notifications",
        measured={
            "taawon_audience_versions": 69_990.0,
            "taawon_fanouts_running": 1.0,
            "taawon_fanout_approvals{state=held}": 2.0,
            "taawon_feed_waiting_entries{channel=amqp}": 7.0,
            "taawon_feed_oldest_age_seconds{channel=amqp}": 41.0,
            **behind,
        },
    )
    queues = (
        QueueObservation(QUEUES[0], messages=5, consumers=1, unacknowledged=2),
        QueueObservation(QUEUES[1], messages=1, consumers=0),
        QueueObservation("notifications.follow_call.dead", messages=9, consumers=1),
    )
    return (registry, notifications), BrokerObservation(queues)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Any:
    def show(seen: Any, *options: str, columns: int = 300) -> str:
        async def glance(_: OperatorClient) -> Any:
            return seen

        monkeypatch.setattr(command, "glance", glance)
        result = CliRunner().invoke(
            program.build(), ["status", *URL, *options], env={"COLUMNS": str(columns)}
        )
        assert result.exit_code == 0, result.output
        return result.output

    return show


def test_one_row_shows_how_a_service_stands(show: Any):
    registry, notifications = show(the_system()).splitlines()[1:3]

    assert registry.split() == [
        *("registry", "ready", "1.0", "current", "2,", "4.2", "s", "0", "consume"),
        *("65,315", "cooperatives"),
    ]
    assert " 4 + 2 " in notifications
    assert " 1/2 " in notifications
    for words in ("10 behind", "1 fan-outs run", "2 held", "7 feed entries wait", "41 s"):
        assert words in notifications


def test_a_queue_that_is_missing_is_one_that_nobody_consumes(show: Any):
    services, broker = the_system()
    consumed = tuple(queue for queue in broker.queues if queue.consumers)

    reported = show((services, BrokerObservation(consumed)))

    assert " 1/2 " in reported


@pytest.mark.parametrize(
    ("revision", "known", "word"),
    [("walls", True, "current"), ("cellar", True, "cellar"), ("roofs", False, "ahead")],
)
def test_a_schema_is_current_behind_or_ahead(show: Any, revision: str, known: bool, word: str):
    found = a_service("ideas", revision=revision, revision_known=known)

    assert show(((found,), BrokerObservation())).splitlines()[1].split()[3] == word


def test_a_system_at_rest_shows_no_remark_that_needs_no_look(show: Any):
    quiet = the_system(
        **{
            "taawon_audience_versions": 70_000.0,
            "taawon_fanouts_running": 0.0,
            "taawon_fanout_approvals{state=held}": 0.0,
            "taawon_feed_waiting_entries{channel=amqp}": 0.0,
            "taawon_feed_oldest_age_seconds{channel=amqp}": 0.0,
        }
    )

    assert show(quiet).splitlines()[2].rstrip().endswith("audience 0 behind")


def test_a_narrow_terminal_shows_the_same_without_cutting_anything(show: Any):
    reported = show(the_system(), columns=80)

    assert "…" not in reported
    for words in ("notifications", "registry: 65,315 cooperatives", "10 behind", "41 s"):
        assert words in reported


def test_machines_get_the_queues_and_the_lag(show: Any):
    registry, notifications = orjson.loads(show(the_system(), "--json"))

    assert (registry["audience_behind"], notifications["audience_behind"]) == (None, 10)
    assert [(q["name"], q["ready"], q["consumers"]) for q in notifications["queues"]] == [
        (QUEUES[0], 3, 1),
        (QUEUES[1], 1, 0),
    ]


def test_what_cannot_be_seen_is_said_and_never_guessed(show: Any):
    services, _ = the_system()

    reported = show((services, BrokerObservation(trouble="it does not run")))

    assert "nothing is known of the queues: it does not run" in reported
    assert "0/2" not in reported


def test_stopped_and_paused_consumers_stand_out(show: Any):
    for consuming, paused, word in ((False, False, "not consuming"), (True, True, "paused")):
        state = ConsumersState(consuming=consuming, paused=paused, queues=[])

        reported = show(((a_service("ideas", consumers=state),), BrokerObservation()))

        assert word in reported


def test_watching_looks_again_and_signs_in_anew_when_refused(monkeypatch: pytest.MonkeyPatch):
    services, broker = the_system()
    refused = (ServiceObservation("ideas", "http://ideas:8000", refused="401"), *services)
    looks = iter([(refused, broker), (services, broker)])
    found: list[str] = []

    async def glance(_: OperatorClient) -> Any:
        return next(looks)

    def rest(_: float) -> None:
        if len(found) > 1:
            raise KeyboardInterrupt
        found.append("rested")

    def find(*_: object) -> OperatorClient:
        found.append("signed in")
        return OperatorClient({})

    monkeypatch.setattr(command, "glance", glance)
    monkeypatch.setattr(command.time, "sleep", rest)
    monkeypatch.setattr(OperatorClient, "find", find)

    command.status(watch=2)

    assert found == ["signed in", "rested", "signed in"]


def test_what_a_service_reports_is_no_markup(show):
    hostile = a_service("registry", version="[/red]1\x1b]0;x")

    shown = show(((hostile,), BrokerObservation(())))

    assert "[/red]1<U+001B>]0;x" in shown
