"""What an operator gets wrong: the message names the cause and the remedy, and nothing is lost."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from devkit.stack_layout import PROVISIONER
from shared.kernel import outage_causes
from shared.kernel.waiting import wait_until

from .deployment import ComposeFailed, Deployment
from .story import DemoRun, a_new_call, is_fanned_out, opened_call


def test_without_secrets_the_first_missing_one_is_named_and_how_to_make_them(
    demo_run: DemoRun,
) -> None:
    env = demo_run.deployment.clone / ".env"
    kept = env.rename(env.with_suffix(".kept"))
    try:
        with pytest.raises(ComposeFailed) as refused:
            demo_run.deployment.compose("config", "--quiet")
    finally:
        kept.rename(env)

    assert re.search(
        r"TAAWON_\w+(PASSWORD|KEYS).*missing a value.*make secrets", str(refused.value)
    )


def test_a_taken_port_is_named(demo_run: DemoRun) -> None:
    deployment = demo_run.deployment
    deployment.compose("stop", "ideas")
    port = deployment.ports["ideas"]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ComposeFailed) as refused:
            deployment.compose("up", "--detach", "--no-deps", "ideas")
    deployment.compose("up", "--detach", "--wait", "--no-deps", "ideas")

    assert str(port) in str(refused.value)
    assert re.search("address already in use|port is already allocated", str(refused.value))


@pytest.mark.parametrize(
    ("name", "check", "cause"),
    [
        ("TAAWON_NOTIFICATIONS_DATABASE_PASSWORD", "database", outage_causes.DATABASE_LOGIN),
        ("TAAWON_NOTIFICATIONS_BROKER_PASSWORD", "consumers", outage_causes.BROKER_LOGIN),
    ],
)
def test_a_wrong_password_is_named_and_nothing_is_lost(
    demo_run: DemoRun, name: str, check: str, cause: outage_causes.Cause
) -> None:
    deployment = demo_run.deployment
    right = deployment.settings[name]
    _set(deployment, name, "guessed")
    try:
        deployment.compose("up", "--detach", "--no-deps", "notifications")
        call_id = opened_call(demo_run.operator, a_new_call())
        assert wait_until(
            lambda: _causes(deployment).get(check) == str(cause), within=60, every=1
        ), _causes(deployment)
    finally:
        _set(deployment, name, right)
        deployment.compose("up", "--detach", "--wait", "--no-deps", "notifications")

    assert wait_until(lambda: is_fanned_out(demo_run.operator, call_id), within=60, every=0.5)
    assert "guessed" not in deployment.logs("notifications")


@pytest.mark.parametrize("name", ["ideas", PROVISIONER])
def test_a_frozen_process_is_ended_and_started_again(demo_run: DemoRun, name: str) -> None:
    deployment = demo_run.deployment
    _set(deployment, "TAAWON_FROZEN_SECONDS", "20")
    try:
        deployment.compose("up", "--detach", "--wait", "--no-deps", name)
        deployment.in_container(name, "python", "-c", STOP)

        assert wait_until(
            lambda: deployment.containers()[name]["RestartCount"] > 0, within=180, every=2
        ), deployment.containers()[name]["State"]
    finally:
        _set(deployment, "TAAWON_FROZEN_SECONDS", "60")
        deployment.compose("up", "--detach", "--wait", "--no-deps", name)

    deployment.wait_ready()


STOP = """
import os, signal
from pathlib import Path
from shared.kernel import heartbeat
pid = int(heartbeat.read(Path(os.environ[heartbeat.FILE])).split()[0])
os.kill(pid, signal.SIGSTOP)
"""


def _causes(deployment: Deployment) -> dict[str, str]:
    """Why notifications is not ready, in its own words."""
    try:
        answer = httpx.get(f"{deployment.url('notifications')}/readyz", timeout=3)
    except httpx.HTTPError:
        return {}
    return dict(answer.json()["causes"])


def _set(deployment: Deployment, name: str, value: str) -> None:
    env = deployment.clone / ".env"
    text = env.read_text(encoding="utf-8")
    env.write_text(re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE))
