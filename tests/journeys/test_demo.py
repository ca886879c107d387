"""The demo as a newcomer runs it: its numbers are true, and a second run alerts nobody twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from devkit.client import Client
from devkit.demo.participants import PARTNERS
from devkit.demo.seeds_and_feeds import read_feed
from devkit.pytest_plugin import PATIENCE
from devkit.stack import Stack
from devkit.stack_layout import OPERATOR, PROVISIONER, SERVICES, SUPERVISOR
from shared.kernel.waiting import wait_until

from .demo_queries import audiences_of, identities, recipients
from .register_files import matching, read_profiles
from .stories import end

COUNT = int(os.environ.get("TAAWON_DEMO_COUNT", "2000"))


@dataclass(frozen=True)
class DemoRun:
    """What one run of the demo left behind: its results, and the system still running."""

    folder: Path
    stack: Stack
    result: dict[str, Any]
    modes_before: dict[Path, tuple[int, int, int]]

    def person(self) -> Client:
        password = (self.stack.folder / "secrets" / "operator.password").read_text().strip()
        grant = {"grant_type": "password", "username": OPERATOR, "password": password}
        return Client(self.stack.url, grant)

    def partner(self, slug: str) -> Client:
        made = json.loads((self.stack.folder / "secrets" / f"{slug}.client.json").read_text())
        secrets = {name: made[name] for name in ("client_id", "client_secret")}
        return Client(self.stack.url, {"grant_type": "client_credentials", **secrets})

    def received(self, slug: str) -> list[dict[str, Any]]:
        path = self.stack.folder / "partners" / f"{slug}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


def run_demo(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli.program", "demo", "--count", str(COUNT), *options],
        env={**os.environ, "TAAWON_RUN": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of a folder and of everything above it."""
    found = {path: path.stat() for path in (folder, *folder.parents)}
    return {p: (stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid) for p, s in found.items()}


@pytest.fixture(scope="module")
def demo_run(run_folder: Path) -> Iterator[DemoRun]:
    folder = run_folder / "demo"
    folder.mkdir()
    before = modes(folder)
    stack = Stack(folder / "stack")
    try:
        run_demo(folder, "--keep")
        result = json.loads((folder / "demo.json").read_text())
        yield DemoRun(folder, stack, result, before)
    finally:
        stack.stop()


def test_every_event_reached_exactly_those_whom_the_file_says(demo_run: DemoRun) -> None:
    client = demo_run.person()
    by_identity = read_profiles(Path(demo_run.result["register"]))
    register = {who: by_identity[known] for who, known in identities(client).items()}
    wanted = audiences_of(read_feed(demo_run.partner("fm5")))

    for event in demo_run.result["events"]:
        expected = matching(register, *wanted[event["subject_id"]])

        assert recipients(client, event["subject_id"]) == expected, event["title"]
        assert event["matched"] == event["alerted"] == len(expected)
        assert event["duplicates"] == 0
        assert event["seconds"] > 0
    assert len(demo_run.result["events"]) == 8
    assert len(register) == demo_run.result["cooperatives"] == COUNT


@pytest.mark.parametrize("slug", [card.slug for card in PARTNERS])
def test_what_a_partner_read_by_its_own_login_is_its_feed(demo_run: DemoRun, slug: str) -> None:
    feed = read_feed(demo_run.partner(slug))

    read = demo_run.received(slug)

    assert [m["id"] for m in read] == [item["id"] for item in feed]
    assert [m["data"] for m in read] == [item["data"] for item in feed]
    (counted,) = (p for p in demo_run.result["partners"] if p["slug"] == slug)
    assert counted == {
        "slug": slug,
        "expected": len(feed),
        "received": len(feed),
        "duplicates": 0,
    }


def test_those_alerted_of_a_call_were_alerted_of_its_moved_deadline(demo_run: DemoRun) -> None:
    (moved,) = demo_run.result["corrections"]
    (event,) = (e for e in demo_run.result["events"] if e["subject_id"] == moved["subject_id"])

    assert moved["kind"] == "deadline_extended"
    assert moved["corrected"] == event["alerted"]


def test_whoever_was_not_alerted_has_a_reason_and_no_alert(demo_run: DemoRun) -> None:
    why_not = demo_run.result["why_not"]

    assert why_not["because"] == "excluded"
    assert all(track["reasons"] for track in why_not["tracks"])
    assert UUID(why_not["cooperative_id"]) not in recipients(
        demo_run.person(), why_not["subject_id"]
    )


def test_nothing_above_the_folder_changed(demo_run: DemoRun) -> None:
    assert modes(demo_run.folder) == demo_run.modes_before


@pytest.mark.parametrize("name", ["ideas", PROVISIONER])
def test_what_dies_while_it_runs_is_started_again_and_its_end_is_said(
    demo_run: DemoRun, name: str
) -> None:
    process = demo_run.stack.process(name)
    before = process.pid
    assert before is not None

    os.kill(before, signal.SIGKILL)

    assert wait_until(lambda: process.pid not in {None, before}, within=PATIENCE)
    if name in SERVICES:
        demo_run.stack.wait_ready(name)
    assert wait_until(lambda: gives_metrics(demo_run.stack, name), within=PATIENCE)
    assert wait_until(demo_run.stack.heartbeat_file(name).exists, within=PATIENCE)
    said = demo_run.stack.log_of(SUPERVISOR).read_text()
    assert f"{name} has ended after" in said
    assert f"{name} is started again" in said
    assert demo_run.stack.stopped() == ()


def gives_metrics(stack: Stack, name: str) -> bool:
    try:
        return httpx.get(f"{stack.internal_url(name)}/metrics", timeout=30).is_success
    except httpx.HTTPError:
        return False


def test_a_private_broker_that_dies_is_started_again(demo_run: DemoRun) -> None:
    server = demo_run.stack.server("rabbitmq")
    before = server.pid
    assert before is not None

    os.kill(before, signal.SIGKILL)

    assert wait_until(lambda: server.pid not in {None, before}, within=PATIENCE)
    for service in SERVICES:
        demo_run.stack.wait_ready(service)


async def test_a_second_run_alerts_nobody_twice_and_leaves_no_process(demo_run: DemoRun) -> None:
    before = {e["subject_id"]: e for e in demo_run.result["events"]}
    # What runs already would be left running.
    await asyncio.to_thread(end, demo_run.stack)

    shown = await asyncio.to_thread(run_demo, demo_run.folder)

    result = json.loads((demo_run.folder / "demo.json").read_text())
    assert {e["subject_id"]: e for e in result["events"]} == before
    assert result["partners"] == demo_run.result["partners"]
    assert result["corrections"] == demo_run.result["corrections"]
    assert "0 new, 0 changed" in shown
    names = (*SERVICES, PROVISIONER, SUPERVISOR)
    assert not any(demo_run.stack.process(name).is_running() for name in names)
    assert not any(_works_below(demo_run.folder))


def _works_below(folder: Path) -> Iterator[str]:
    """Programs whose working folder lies in this one."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                place = (process / "cwd").readlink()
            except OSError:
                continue
            if place.is_relative_to(folder):
                yield (process / "cmdline").read_text()
