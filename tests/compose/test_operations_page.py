"""The commands of docs/operations.md do what the page says, on the deployment of the demo."""

from __future__ import annotations

import re
import shlex
import threading
from typing import Any

import pytest

from devkit.demo.results import PATIENCE
from devkit.demo.seeds_and_feeds import read_feed
from devkit.stack_layout import OPERATOR, SERVICES
from devkit.state import is_free
from shared.kernel.waiting import wait_until

from .deployment import ROOT, Deployment
from .page import scripts
from .story import DemoRun, a_new_call, is_fanned_out, opened_call

RAN: set[str] = set()
"""Blocks of the page that a test has run."""

TABLES = {
    "registry": ("cooperative", "account", "partner", "api_client", "audit"),
    "ideas": ("ideas", "audit"),
    "funding": ("calls", "audit"),
    "notifications": ("audience", "audience_history", "subject", "alert", "feed_entry"),
}
"""What a backup must bring back row for row."""

AUDIENCE = "SELECT to_jsonb(a) - 'updated_at' - 'contact_sealed' FROM audience a ORDER BY 1"
FIRST_ALERTS = "SELECT subject_id, cooperative_id, eligible_tracks FROM alert WHERE edition = 0"
TWICE = (
    "SELECT subject_id, cooperative_id FROM alert WHERE kind IN ('opened', 'published')"
    " GROUP BY 1, 2 HAVING count(*) > 1"
)


def run(demo_run: DemoRun, name: str, **replaced: str) -> str:
    """Run a block of the page; `replaced` are texts that stand for others on this machine."""
    script = scripts()[name]
    for old, new in replaced.items():
        assert old in script
        script = script.replace(old, new)
    RAN.add(name)
    return demo_run.deployment.script(script, demo_run.operator.token())


def rows(deployment: Deployment) -> dict[str, list[str]]:
    return {
        f"{service}.{table}": sorted(
            deployment.query(service, f"SELECT to_jsonb(t) FROM {table} t")
        )
        for service, tables in TABLES.items()
        for table in tables
    }


def open_call_that_alerts_once(demo_run: DemoRun) -> str:
    """The id of a new call, once everybody whom it is for was alerted, and nobody twice."""
    call_id = opened_call(demo_run.operator, a_new_call())
    assert wait_until(lambda: is_fanned_out(demo_run.operator, call_id), within=PATIENCE, every=0.2)
    totals = demo_run.operator.get("notifications", f"/subjects/{call_id}/totals")
    assert totals["matched"] == totals["alerted"] > 0
    assert demo_run.deployment.query("notifications", TWICE) == []
    return call_id


def usual_port(service: str) -> int:
    """Where docker-compose.yml publishes a service unless set otherwise."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (port,) = re.findall(rf"\$\{{TAAWON_{service.upper()}_PORT:-(\d+)\}}", text)
    return int(port)


def test_a_command_finds_the_system_from_the_host_and_from_a_container(demo_run: DemoRun) -> None:
    password = shlex.quote(demo_run.operator.credentials["password"])
    usual = {
        **{service: usual_port(service) for service in SERVICES},
        "management": 15672,
    }
    here = {
        f"127.0.0.1:{port}": f"127.0.0.1:{demo_run.deployment.ports[name]}"
        for name, port in usual.items()
    }
    typed = {"stty -echo; read -r password; stty echo": f"password={password}"}

    outside = run(
        demo_run, "a command on the host", **here, **typed, **{"you@example.org": OPERATOR}
    )
    inside = run(demo_run, "a command in a container")

    for found in (outside, inside):
        assert found.rstrip().splitlines()[-1].startswith("0 errors"), found


def test_a_backup_comes_back_row_for_row_in_an_empty_system(demo_run: DemoRun) -> None:
    demo_run.deployment.wait_settled()
    before = rows(demo_run.deployment)
    run(demo_run, "back up")
    cooperative_id = erased_since(demo_run)
    run(demo_run, "note what persons asked for")
    demo_run.deployment.down()
    (demo_run.deployment.clone / ".env").unlink()

    demo_run.deployment.script(scripts()["restore"], token="")
    RAN.add("restore")
    run(demo_run, "publish again")

    demo_run.deployment.wait_settled()
    after = rows(demo_run.deployment)
    assert {
        name for name in before if name != "registry.audit" and before[name] != after[name]
    } <= {
        "funding.audit",  # says that the log was published again
        "ideas.audit",
    }
    assert demo_run.deployment.query("notifications", TWICE) == []
    assert contacts(demo_run, cooperative_id) == [["t"], ["t"]]
    run(demo_run, "erase again")
    demo_run.deployment.wait_settled()
    assert contacts(demo_run, cooperative_id) == [["f"], ["f"]]
    call_id = open_call_that_alerts_once(demo_run)
    partner_queue = demo_run.partner_queues["fm5"]
    assert wait_until(
        lambda: call_id in read_anew(demo_run, partner_queue), within=PATIENCE, every=1
    )


def erased_since(demo_run: DemoRun) -> str:
    """A cooperative whose contact asks for erasure after the backup."""
    known = "SELECT id FROM cooperative WHERE contact_sealed IS NOT NULL ORDER BY id LIMIT 1"
    (cooperative_id,) = demo_run.deployment.query("registry", known)
    asked = {"kind": "erasure", "ground": "person", "reference": "2026/114"}
    seen = demo_run.operator.post(
        "registry", "/persons/requests", asked | {"cooperative_ids": [cooperative_id]}
    )
    shared = [each["id"] for each in seen["records"] if each["is_shared"]]
    path = f"/persons/requests/{seen['request_id']}/confirm"
    demo_run.operator.move("registry", path, {"leave": shared}, seen=seen)
    return cooperative_id


def contacts(demo_run: DemoRun, cooperative_id: str) -> list[list[str]]:
    """Whether the register and the audience know a contact of it."""
    known = "SELECT contact_sealed IS NOT NULL FROM"
    return [
        demo_run.deployment.query(service, f"{known} {table} WHERE {key} = '{cooperative_id}'")
        for service, table, key in (
            ("registry", "cooperative", "id"),
            ("notifications", "audience", "cooperative_id"),
        )
    ]


def read_anew(demo_run: DemoRun, partner_queue: Any) -> set[str]:
    """The calls that the partner has read from its queue so far, after one more look at it.

    The repeats of what it had before stand in front of what it misses, so it reads as many again.
    """
    feed = read_feed(demo_run.partners[partner_queue.slug])
    missing = {item["id"] for item in feed} - {message["id"] for message in partner_queue.received}
    if missing:
        partner_queue.read(len(missing))
    return {str(message["data"].get("call_id")) for message in partner_queue.received}


def test_notifications_is_rebuilt_from_the_others(demo_run: DemoRun) -> None:
    demo_run.deployment.wait_settled()
    audience = demo_run.deployment.query("notifications", AUDIENCE)
    alerts = set(demo_run.deployment.query("notifications", FIRST_ALERTS))

    run(demo_run, "rebuild notifications")

    demo_run.deployment.wait_settled()
    assert demo_run.deployment.query("notifications", AUDIENCE) == audience
    assert set(demo_run.deployment.query("notifications", FIRST_ALERTS)) == alerts
    assert len(alerts) > 1000


@pytest.mark.parametrize("direction", ["upgrade", "go back"])
def test_a_service_is_exchanged_with_messages_in_flight(demo_run: DemoRun, direction: str) -> None:
    opened: list[str] = []
    exchanged = threading.Event()

    def keep_opening() -> None:
        while not exchanged.is_set():
            opened.append(opened_call(demo_run.operator, a_new_call()))

    load = threading.Thread(target=keep_opening)
    load.start()
    try:
        run(demo_run, direction)
    finally:
        exchanged.set()
        load.join()

    for call_id in opened:
        assert wait_until(
            lambda call_id=call_id: is_fanned_out(demo_run.operator, call_id),
            within=PATIENCE,
            every=0.2,
        )
    assert opened
    assert demo_run.deployment.query("notifications", TWICE) == []
    image = demo_run.deployment.containers()["notifications"]["Config"]["Image"]
    assert image.endswith(":next" if direction == "upgrade" else ":dev")


def test_two_replicas_share_the_work(demo_run: DemoRun) -> None:
    first = next(p for p in range(23000, 29000) if is_free(p) and is_free(p + 1))
    run(demo_run, "two replicas", **{"8004-8005": f"{first}-{first + 1}"})
    demo_run.deployment.ports["notifications"] = first

    demo_run.deployment.wait_ready()
    assert replicas(demo_run) == 2
    open_call_that_alerts_once(demo_run)


def replicas(demo_run: DemoRun) -> int:
    return len(demo_run.deployment.compose("ps", "--quiet", "notifications").split())


def test_keys_and_passwords_are_rotated_while_it_runs(demo_run: DemoRun) -> None:
    before = demo_run.deployment.settings

    run(demo_run, "rotate seal keys")
    old, new = before["TAAWON_SEAL_KEYS"], demo_run.deployment.settings["TAAWON_SEAL_KEYS"]
    run(demo_run, "remove the old seal key")
    run(demo_run, "rotate the signing key")
    run(demo_run, "rotate passwords")

    after = demo_run.deployment.settings
    assert new == f"{after['TAAWON_SEAL_KEYS']},{old}"
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "TAAWON_SEAL_KEYS",
        "TAAWON_IDEAS_DATABASE_PASSWORD",
        "TAAWON_IDEAS_BROKER_PASSWORD",
    }
    demo_run.deployment.wait_ready()
    assert replicas(demo_run) == 2
    # The operator signs in by an e-mail that rests sealed, with a token of the new key.
    demo_run.operator.drop_token()
    open_call_that_alerts_once(demo_run)


def test_every_command_of_the_page_was_run() -> None:
    assert scripts().keys() == RAN
