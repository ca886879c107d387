"""The commands of docs/operations.md do what the page says, on a deployment that has told."""

from __future__ import annotations

import re
import shlex
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from devkit.demo.facts import PATIENCE
from devkit.demo.reading import read_feed, seeds_of
from devkit.places import OPERATOR, SERVICES
from devkit.state import is_free
from shared.kernel.waiting import wait_until

from .deployment import ROOT, Deployment
from .page import scripts
from .story import Told, is_told, opened_call

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


def run(told: Told, name: str, **replaced: str) -> str:
    """Run a block of the page; `replaced` are texts that stand for others on this machine."""
    script = scripts()[name]
    for old, new in replaced.items():
        assert old in script
        script = script.replace(old, new)
    RAN.add(name)
    return told.deployment.script(script, told.operator.token())


def rows(deployment: Deployment) -> dict[str, list[str]]:
    return {
        f"{service}.{table}": sorted(
            deployment.query(service, f"SELECT to_jsonb(t) FROM {table} t")
        )
        for service, tables in TABLES.items()
        for table in tables
    }


def heard_once(told: Told) -> str:
    """A new call is told to everybody once, and to the partner by its own login."""
    call_id = opened_call(told.operator, a_new_call())
    assert wait_until(lambda: is_told(told.operator, call_id), within=PATIENCE, every=0.2)
    totals = told.operator.get("notifications", f"/subjects/{call_id}/totals")
    assert totals["matched"] == totals["alerted"] > 0
    assert told.deployment.query("notifications", TWICE) == []
    return call_id


def a_new_call() -> Any:
    """A call like one of the demonstration's, without the key that makes it the same one."""
    return seeds_of("funding")(datetime.now(UTC).date())[0]


def usual_port(service: str) -> int:
    """Where docker-compose.yml publishes a service unless told otherwise."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (port,) = re.findall(rf"\$\{{TAAWON_{service.upper()}_PORT:-(\d+)\}}", text)
    return int(port)


def test_a_command_finds_the_system_from_the_host_and_from_a_container(told: Told) -> None:
    password = shlex.quote(told.operator.credentials["password"])
    usual = {
        **{service: usual_port(service) for service in SERVICES},
        "management": 15672,
    }
    here = {
        f"127.0.0.1:{port}": f"127.0.0.1:{told.deployment.ports[name]}"
        for name, port in usual.items()
    }
    typed = {"stty -echo; read -r password; stty echo": f"password={password}"}

    outside = run(told, "a command on the host", **here, **typed, **{"you@example.org": OPERATOR})
    inside = run(told, "a command in a container")

    for found in (outside, inside):
        assert found.rstrip().splitlines()[-1].startswith("0 errors"), found


def test_a_backup_comes_back_row_for_row_in_an_empty_system(told: Told) -> None:
    told.deployment.wait_settled()
    before = rows(told.deployment)
    run(told, "back up")
    cooperative_id = forgotten_since(told)
    run(told, "note what persons asked for")
    told.deployment.down()
    (told.deployment.clone / ".env").unlink()

    told.deployment.script(scripts()["restore"], token="")
    RAN.add("restore")
    run(told, "announce again")

    told.deployment.wait_settled()
    after = rows(told.deployment)
    assert {
        name for name in before if name != "registry.audit" and before[name] != after[name]
    } <= {
        "funding.audit",  # says that the log was announced again
        "ideas.audit",
    }
    assert told.deployment.query("notifications", TWICE) == []
    assert contacts(told, cooperative_id) == [["t"], ["t"]]
    run(told, "forget again")
    told.deployment.wait_settled()
    assert contacts(told, cooperative_id) == [["f"], ["f"]]
    call_id = heard_once(told)
    door = told.doors["fm5"]
    assert wait_until(lambda: call_id in read_anew(told, door), within=PATIENCE, every=1)


def forgotten_since(told: Told) -> str:
    """A cooperative whose contact asks to be forgotten after the backup."""
    known = "SELECT id FROM cooperative WHERE contact_sealed IS NOT NULL ORDER BY id LIMIT 1"
    (cooperative_id,) = told.deployment.query("registry", known)
    asked = {"kind": "erasure", "ground": "person", "reference": "2026/114"}
    told.operator.post(
        "registry", "/persons/requests", asked | {"cooperative_ids": [cooperative_id]}
    )
    return cooperative_id


def contacts(told: Told, cooperative_id: str) -> list[list[str]]:
    """Whether the register and the audience know a contact of it."""
    known = "SELECT contact_sealed IS NOT NULL FROM"
    return [
        told.deployment.query(service, f"{known} {table} WHERE {key} = '{cooperative_id}'")
        for service, table, key in (
            ("registry", "cooperative", "id"),
            ("notifications", "audience", "cooperative_id"),
        )
    ]


def read_anew(told: Told, door: Any) -> set[str]:
    """The calls that the partner has read from its queue so far, after one more look at it.

    The repeats of what it had before stand in front of what it misses, so it reads as many again.
    """
    feed = read_feed(told.partners[door.slug])
    missing = {item["id"] for item in feed} - {message["id"] for message in door.received}
    if missing:
        door.read(len(missing))
    return {str(message["data"].get("call_id")) for message in door.received}


def test_notifications_is_rebuilt_from_the_others(told: Told) -> None:
    told.deployment.wait_settled()
    audience = told.deployment.query("notifications", AUDIENCE)
    alerts = set(told.deployment.query("notifications", FIRST_ALERTS))

    run(told, "rebuild notifications")

    told.deployment.wait_settled()
    assert told.deployment.query("notifications", AUDIENCE) == audience
    assert set(told.deployment.query("notifications", FIRST_ALERTS)) == alerts
    assert len(alerts) > 1000


@pytest.mark.parametrize("direction", ["upgrade", "go back"])
def test_a_service_is_exchanged_with_messages_in_flight(told: Told, direction: str) -> None:
    opened: list[str] = []
    exchanged = threading.Event()

    def keep_opening() -> None:
        while not exchanged.is_set():
            opened.append(opened_call(told.operator, a_new_call()))

    load = threading.Thread(target=keep_opening)
    load.start()
    try:
        run(told, direction)
    finally:
        exchanged.set()
        load.join()

    for call_id in opened:
        assert wait_until(
            lambda call_id=call_id: is_told(told.operator, call_id), within=PATIENCE, every=0.2
        )
    assert opened
    assert told.deployment.query("notifications", TWICE) == []
    image = told.deployment.containers()["notifications"]["Config"]["Image"]
    assert image.endswith(":next" if direction == "upgrade" else ":dev")


def test_two_replicas_share_the_work(told: Told) -> None:
    first = next(p for p in range(23000, 29000) if is_free(p) and is_free(p + 1))
    run(told, "two replicas", **{"8004-8005": f"{first}-{first + 1}"})
    told.deployment.ports["notifications"] = first

    told.deployment.wait_ready()
    assert replicas(told) == 2
    heard_once(told)


def replicas(told: Told) -> int:
    return len(told.deployment.compose("ps", "--quiet", "notifications").split())


def test_keys_and_passwords_are_rotated_while_it_runs(told: Told) -> None:
    before = told.deployment.settings

    run(told, "rotate seal keys")
    old, new = before["TAAWON_SEAL_KEYS"], told.deployment.settings["TAAWON_SEAL_KEYS"]
    run(told, "remove the old seal key")
    run(told, "rotate the signing key")
    run(told, "rotate passwords")

    after = told.deployment.settings
    assert new == f"{after['TAAWON_SEAL_KEYS']},{old}"
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "TAAWON_SEAL_KEYS",
        "TAAWON_IDEAS_DATABASE_PASSWORD",
        "TAAWON_IDEAS_BROKER_PASSWORD",
    }
    told.deployment.wait_ready()
    assert replicas(told) == 2
    # The operator signs in by an e-mail that rests sealed, with a token of the new key.
    told.operator.forget_token()
    heard_once(told)


def test_every_command_of_the_page_was_run() -> None:
    assert scripts().keys() == RAN
