"""docker-compose.yml for real: the story through published ports while containers are restarted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.local.client import Client, Refused
from shared.local.demo import story
from shared.local.demo.cast import PARTNERS, Cast, Door
from shared.local.demo.facts import PATIENCE, Facts
from shared.local.demo.reading import read_feed, seeds_of
from shared.local.demo.screen import Screen
from shared.local.processes import wait_until
from shared.local.stack import SERVICES

from ..journeys.register_files import matching, read_facts
from ..journeys.test_demo import announced, identities, recipients
from .deployment import LASTING, Deployment

COUNT = 2000
VICTIMS = (
    ("notifications",),
    ("rabbitmq",),
    ("postgres",),
    ("funding",),
    ("registry", "ideas"),
    ("partners-provisioner",),
    ("rabbitmq", "postgres"),
)
"""What is restarted while a call fans out, call by call; each kind of container at least once."""


@dataclass
class Told:
    """What happened: the register file, the subjects, and who takes part."""

    deployment: Deployment
    operator: Client
    partners: dict[str, Client]
    doors: dict[str, Door]
    facts: Facts
    subjects: list[str]


@pytest.fixture(scope="session")
def told(deployment: Deployment) -> Told:
    """The demonstration's register, partners, idea and calls, while containers are restarted."""
    cast, screen, facts = Cast(deployment), Screen(), Facts()
    operator = cast.operator()
    story.import_register(deployment, operator, facts, count=COUNT, seed=1, screen=screen)
    partners = {card.slug: cast.partner(operator, card) for card in PARTNERS}
    doors = {slug: cast.door(client, slug) for slug, client in partners.items()}
    told = Told(deployment, operator, partners, doors, facts, [])
    told.subjects.append(published_idea(operator, cast.moderator(operator)))
    calls = seeds_of("funding")(datetime.now(UTC).date())
    for call, victims in zip(calls, VICTIMS, strict=True):
        told.subjects.append(opened_call(operator, call))
        deployment.restart(*victims)
        deployment.wait_ready()
    deployment.wait_healthy()
    for subject in told.subjects:
        assert wait_until(lambda subject=subject: is_told(operator, subject), within=PATIENCE)
    return told


def published_idea(operator: Client, moderator: Client) -> str:
    seed = seeds_of("ideas")()[0]
    idea_id = str(operator.post("ideas", "/ideas", seed.payload)["idea_id"])
    operator.post("ideas", f"/ideas/{idea_id}/submit")
    moderator.post("ideas", f"/ideas/{idea_id}/publish")
    return idea_id


def opened_call(operator: Client, seed: Any) -> str:
    call_id = str(operator.post("funding", "/calls", seed.payload)["call_id"])
    operator.post("funding", f"/calls/{call_id}/open")
    return call_id


def is_told(operator: Client, subject_id: str) -> bool:
    try:
        totals = operator.get("notifications", f"/subjects/{subject_id}/totals")
    except Refused as refusal:
        if refusal.status not in {404, 503}:
            raise
        return False
    return totals["told_version"] is not None


def test_the_ledger_is_exactly_what_the_register_file_says(told: Told) -> None:
    by_identity = read_facts(Path(told.facts.register))
    register = {who: by_identity[known] for who, known in identities(told.operator).items()}
    wanted = announced(read_feed(told.partners["fm5"]))

    for subject in told.subjects:
        expected = matching(register, *wanted[subject])
        totals = told.operator.get("notifications", f"/subjects/{subject}/totals")

        assert recipients(told.operator, subject) == expected
        assert totals["matched"] == totals["alerted"] == len(expected)
        assert totals["repeated"] == 0
    assert len(told.subjects) == 8
    assert len(register) == COUNT


def test_each_partner_read_its_feed_from_its_own_queue_through_the_published_port(
    told: Told,
) -> None:
    for slug, client in told.partners.items():
        feed = {item["id"]: item["data"] for item in read_feed(client)}
        door = told.doors[slug]

        door.read(len(feed))

        # A restart in the middle of a delivery may repeat an event, under the same id.
        assert {message["id"]: message["data"] for message in door.received} == feed
    assert {len(read_feed(client)) for client in told.partners.values()} != {0}


def test_the_doctor_finds_no_error_and_status_finds_everybody(told: Told) -> None:
    token = told.operator._bearer()

    def errors() -> list[dict[str, Any]]:
        done = told.deployment.taawon("doctor", "--json", token=token)
        assert done.stdout, done.stderr
        return [each for each in json.loads(done.stdout) if each["severity"] == "error"]

    assert wait_until(lambda: not errors(), within=60, every=2), errors()
    status = told.deployment.taawon("status", "--json", token=token)
    rows = json.loads(status.stdout)
    assert [row["name"] for row in rows if row["up"] and row["ready"]] == list(SERVICES)


def test_every_container_runs_as_promised(told: Told) -> None:
    containers = told.deployment.containers()

    for name, container in containers.items():
        host = container["HostConfig"]
        assert container["Config"]["User"].partition(":")[0] not in {"", "0", "root"}, name
        assert host["ReadonlyRootfs"], name
        assert host["Memory"] > 0, name
        assert host["CapDrop"] == ["ALL"], name
        assert container["State"]["OOMKilled"] is False, name
        if name in LASTING:
            assert container["State"]["Health"]["Status"] == "healthy", name
            assert container["RestartCount"] == 0, name
        else:
            assert container["State"]["ExitCode"] == 0, name
    assert set(LASTING) < containers.keys()


def test_only_the_doors_are_published_and_on_loopback(told: Told) -> None:
    bound = {
        (name, inner): [each["HostIp"] for each in outer]
        for name, container in told.deployment.containers().items()
        for inner, outer in container["NetworkSettings"]["Ports"].items()
        if outer
    }

    assert bound.keys() == {
        *((service, "8000/tcp") for service in SERVICES),
        ("rabbitmq", "5672/tcp"),
        ("rabbitmq", "15672/tcp"),
        ("mail", "8025/tcp"),
    }
    assert {address for addresses in bound.values() for address in addresses} == {"127.0.0.1"}


def test_no_secret_is_in_a_log_or_in_another_ones_environment(told: Told) -> None:
    secrets = {
        name: value
        for name, value in told.deployment.settings.items()
        if re.search("PASSWORD|KEYS", name)
    }
    logs = told.deployment.logs()

    assert [name for name, value in secrets.items() if value in logs] == []
    for service in SERVICES:
        own = told.deployment.in_container(service, "python", "-c", PRINT_ENVIRONMENT)
        others = {
            name
            for name, value in secrets.items()
            if value in own and f"_{service.upper()}_" not in name
        }
        assert others <= {"TAAWON_SEAL_KEYS"}, service
        assert (service in {"registry", "notifications"}) == ("TAAWON_SEAL_KEYS" in others)


PRINT_ENVIRONMENT = "import os; print(*os.environ.values(), sep='\\n')"


def test_a_container_cannot_write_to_its_own_image(told: Told) -> None:
    for service in SERVICES:
        written = told.deployment.in_container(service, "python", "-c", TRY_TO_WRITE)
        assert written.split() == ["refused", "refused"], service


TRY_TO_WRITE = """
for path in ("/app/shared/shared/x", "/etc/x"):
    try:
        open(path, "w")
    except OSError:
        print("refused")
"""


def test_the_mail_sink_keeps_what_it_is_sent(told: Told) -> None:
    told.deployment.in_container("notifications", "python", "-c", SEND_MAIL)

    url = f"http://127.0.0.1:{told.deployment.ports['mail']}/api/v1/messages"

    assert wait_until(lambda: "A test of the sink" in httpx.get(url).text, within=10)


SEND_MAIL = """
with smtplib.SMTP("mail", 1025, timeout=10) as server:
    server.sendmail("a@taawon.example", ["b@taawon.example"], "Subject: A test of the sink\\n\\nx")
"""
