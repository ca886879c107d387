"""docker-compose.yml for real: the story over published ports while containers are restarted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

from devkit.demo.participants import PartnerQueue
from devkit.demo.seeds_and_feeds import read_feed
from devkit.stack_layout import SERVICES
from shared.kernel.service.spec import spec_of
from shared.kernel.waiting import wait_until

from ..journeys.demo_queries import audiences_of, identities, recipients
from ..journeys.register_files import matching, read_profiles
from .deployment import LASTING, ROOT
from .story import COUNT, DemoRun


def test_the_ledger_is_exactly_what_the_register_file_says(demo_run: DemoRun) -> None:
    by_identity = read_profiles(Path(demo_run.result.register))
    register = {who: by_identity[known] for who, known in identities(demo_run.operator).items()}
    wanted = audiences_of(read_feed(demo_run.partners["fm5"]))

    for subject in demo_run.subjects:
        expected = matching(register, *wanted[subject])
        totals = demo_run.operator.get("notifications", f"/subjects/{subject}/totals")

        assert recipients(demo_run.operator, subject) == expected
        assert totals["matched"] == totals["alerted"] == len(expected)
        assert totals["repeated"] == 0
    assert len(demo_run.subjects) == 8
    assert len(register) == COUNT


def test_each_partner_read_its_feed_from_its_own_queue_through_the_published_port(
    demo_run: DemoRun,
) -> None:
    for slug, client in demo_run.partners.items():
        feed = {item["id"]: item["data"] for item in read_feed(client)}
        partner_queue = demo_run.partner_queues[slug]

        partner_queue.read(len(feed))
        # A restart in the middle of a delivery may repeat an event, under the same id.
        for _ in range(len(feed)):
            if received(partner_queue).keys() >= feed.keys():
                break
            partner_queue.read(1)

        assert received(partner_queue) == feed
    assert {len(read_feed(client)) for client in demo_run.partners.values()} != {0}


def received(partner_queue: PartnerQueue) -> dict[str, Any]:
    """What came through the queue so far, each event once."""
    return {message["id"]: message["data"] for message in partner_queue.received}


def test_the_doctor_finds_no_error_and_status_finds_everybody(demo_run: DemoRun) -> None:
    token = demo_run.operator.token()

    def errors() -> list[dict[str, Any]]:
        done = demo_run.deployment.taawon("doctor", "--json", token=token)
        assert done.stdout, done.stderr
        return [each for each in json.loads(done.stdout) if each["severity"] == "error"]

    assert wait_until(lambda: not errors(), within=60, every=2), errors()
    status = demo_run.deployment.taawon("status", "--json", token=token)
    rows = json.loads(status.stdout)
    assert [row["name"] for row in rows if row["up"] and row["ready"]] == list(SERVICES)


def test_every_container_runs_as_promised(demo_run: DemoRun) -> None:
    containers = demo_run.deployment.containers()

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


READ_METRICS = """
import urllib.request
print(urllib.request.urlopen("http://rabbitmq:15692/metrics").read().decode())
"""


def test_the_broker_measures_what_the_alerts_ask_for(demo_run: DemoRun) -> None:
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"rabbitmq_\w+", alerts))

    metrics = demo_run.deployment.compose("exec", "-T", "registry", "python", "-c", READ_METRICS)

    assert asked
    assert asked - set(re.findall(r"^(rabbitmq_\w+)[ {]", metrics, re.MULTILINE)) == set()


def test_only_these_ports_are_published_and_on_loopback(demo_run: DemoRun) -> None:
    bound = {
        (name, inner): [each["HostIp"] for each in outer]
        for name, container in demo_run.deployment.containers().items()
        for inner, outer in container["NetworkSettings"]["Ports"].items()
        if outer
    }

    assert bound.keys() == {
        *((service, "8000/tcp") for service in SERVICES),
        ("rabbitmq", "5671/tcp"),
        ("rabbitmq", "15672/tcp"),
        ("mail", "8025/tcp"),
    }
    assert {address for addresses in bound.values() for address in addresses} == {"127.0.0.1"}


def test_no_secret_is_in_a_log_or_in_another_ones_environment(demo_run: DemoRun) -> None:
    secrets = {
        name: value
        for name, value in demo_run.deployment.settings.items()
        if re.search("PASSWORD|KEYS", name)
    }
    logs = demo_run.deployment.logs()

    assert [name for name, value in secrets.items() if value in logs] == []
    for service in SERVICES:
        own = demo_run.deployment.in_container(service, "python", "-c", PRINT_ENVIRONMENT)
        others = {
            name
            for name, value in secrets.items()
            if value in own and f"_{service.upper()}_" not in name
        }
        assert others <= {"TAAWON_SEAL_KEYS"}, service
        assert (spec_of(service).sealed is not None) == ("TAAWON_SEAL_KEYS" in others)


PRINT_ENVIRONMENT = "import os; print(*os.environ.values(), sep='\\n')"


def test_a_container_cannot_write_to_its_own_image(demo_run: DemoRun) -> None:
    for service in SERVICES:
        written = demo_run.deployment.in_container(service, "python", "-c", TRY_TO_WRITE)
        assert written.split() == ["refused", "refused"], service


TRY_TO_WRITE = """
for path in ("/app/shared/shared/x", "/etc/x"):
    try:
        open(path, "w")
    except OSError:
        print("refused")
"""


def test_the_mail_sink_keeps_what_it_is_sent(demo_run: DemoRun) -> None:
    demo_run.deployment.in_container("notifications", "python", "-c", SEND_MAIL)

    url = f"http://127.0.0.1:{demo_run.deployment.ports['mail']}/api/v1/messages"

    assert wait_until(lambda: "A test of the sink" in httpx.get(url).text, within=10)


SEND_MAIL = """
import smtplib

with smtplib.SMTP("mail", 1025, timeout=10) as server:
    server.sendmail("a@taawon.example", ["b@taawon.example"], "Subject: A test of the sink\\n\\nx")
"""
