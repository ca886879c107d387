"""How the doctor looks: whom it asks, and what it makes of silence and refusals."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import observe as observe_module
from cli import program
from cli.client import OperatorClient, ServiceResponse
from cli.diagnosis import diagnose
from cli.observe import consumer_queues_of
from devkit.stack_layout import Place
from shared.errors import Invalid, NotFound
from shared.kernel.admin.schemas import ConsumersState
from shared.kernel.installed import installed_services

from .observations import seen, service, status


def test_where_nothing_was_started_the_command_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TAAWON_RUN", str(tmp_path))

    with pytest.raises(NotFound, match="taawon up"):
        OperatorClient.find(None, None)


def test_a_url_of_no_service_is_refused_with_their_names():
    known = ", ".join(installed_services())

    with pytest.raises(Invalid, match=f"fundng is no service; they are {known}"):
        OperatorClient.find(["fundng=http://127.0.0.1:8003"], None)


def test_the_queues_that_must_exist_are_those_that_the_services_name():
    """A container has the program of one service, and doctor looks at all of them."""
    queues = ["funding.follow_idea"]
    reported = service(
        name="funding",
        status=status(consumers=ConsumersState(consuming=True, paused=False, queues=queues)),
    )
    silent = service(name="notifications", status=None)

    found = consumer_queues_of((reported, silent))

    assert found[0] == "funding.follow_idea"
    assert "notifications.follow_call" in found[1:]


def test_a_named_management_api_counts_also_where_a_stack_was_started(monkeypatch, tmp_path):
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", "http://admin:x@127.0.0.1:1")

    broker = observe_module._see_broker(OperatorClient({}, Place(tmp_path)), "taawon")

    assert broker is not None
    assert "refused" in (broker.trouble or "")


@dataclass(frozen=True)
class FakeClient(OperatorClient):
    """One service, which answers these paths; the others get none."""

    known: dict[str, ServiceResponse] = field(default_factory=dict)

    async def ask(self, path: str, *, signed: bool = True, **_: Any) -> dict[str, ServiceResponse]:
        return {name: self.known.get(path, ServiceResponse(0)) for name in self.urls}


REGISTRY = {"registry": "http://registry:8000"}


async def test_a_service_that_hangs_lives_and_gives_the_doctor_no_checks():
    hanging = FakeClient(REGISTRY, token="t", known={"/healthz": ServiceResponse(204)})

    (found,) = await observe_module.see_services(hanging)

    assert (found.up, found.checks, found.unready) == (True, {}, "no answer")
    codes = [each.code for each in diagnose(seen(found, consumers=()))]
    assert codes == ["readiness-unknown"]


@pytest.mark.parametrize(("code", "wants"), [(401, True), (403, True), (500, False), (503, False)])
async def test_a_token_is_asked_for_where_one_would_help(code: int, wants: bool):
    answers = {
        "/healthz": ServiceResponse(204),
        "/status": ServiceResponse(code, {"detail": "why"}),
    }

    (found,) = await observe_module.see_services(FakeClient(REGISTRY, token="t", known=answers))

    assert (found.wants_token, found.refused) == (wants, f"{code} why")


async def test_sealed_values_that_take_too_long_to_count_are_not_passed_over():
    sealing, found, silent = await observe_module._see_sealed(FakeClient(REGISTRY, token="t"))

    assert (sealing, found, silent) == ({"registry"}, {}, {"registry": "no answer"})


@pytest.mark.parametrize(("seconds", "ahead"), [(99, -1), (101, 0), (104, 2)])
def test_a_clock_is_ahead_by_what_the_time_of_the_answer_does_not_excuse(seconds, ahead):
    reported = status(at=datetime.fromtimestamp(seconds, UTC))

    found = observe_module._clock_ahead(
        reported, ServiceResponse(200, None, asked=100, answered=102)
    )

    assert found == ahead


def test_a_url_without_a_name_is_refused_with_the_right_form():
    with pytest.raises(Invalid, match="registry=http://host:8001"):
        OperatorClient.find(["http://127.0.0.1:8001"], None)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options that name a service which does not answer."""
    for name in ("TAAWON_RABBIT_MANAGEMENT_URL", "TAAWON_OPERATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return ("--url", "ideas=http://127.0.0.1:1", "--token", "none")


def test_an_error_is_reported_by_the_exit_code(nobody):
    run = CliRunner().invoke(program.build(), ["doctor", *nobody])

    assert run.exit_code == 1
    assert "ideas does not answer at http://127.0.0.1:1" in run.output.replace("\n", " ")
    assert "$ curl -i http://127.0.0.1:1/healthz" in run.output


def test_a_service_that_is_down_has_its_row(nobody):
    run = CliRunner().invoke(program.build(), ["status", *nobody])

    assert run.exit_code == 0
    assert "ideas" in run.output


def test_commands_that_only_ask_load_no_server_and_no_database():
    """Each of these costs more time than all that they need together."""
    heavy = {"alembic", "sqlalchemy", "fastapi", "faststream", "aio_pika", "cryptography"}
    commands = ("doctor", "status", "trace", "publish", "replays")
    imports = ", ".join(f"cli.commands.{command}" for command in commands)
    script = f"import sys, {imports}; print(*sorted({heavy} & sys.modules.keys()))"

    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert run.stdout.split() == []
