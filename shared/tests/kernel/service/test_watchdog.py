"""A process whose event loop is blocked ends itself and says where; a stopped one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devkit.pytest_plugin import PATIENCE
from devkit.state import free_port
from shared.kernel import heartbeat
from shared.kernel.waiting import wait_until

LOOP = """
import asyncio, sys, time
from devkit.pytest_plugin import test_settings
from shared.kernel.service.watchdog import watched

def block_the_loop():
    time.sleep(3600)

async def main():
    settings = test_settings(
        "loop", "postgresql+asyncpg://x", frozen_seconds=float(sys.argv[1]),
        heartbeat_file=sys.argv[2],
    )
    with watched(settings):
        print("watched", flush=True)
        if sys.argv[3] == "blocks":
            block_the_loop()
        await asyncio.sleep(3600)

asyncio.run(main())
"""
SERVICE = """
import time
from shared.kernel.service import server
from shared.kernel.service.spec import ServiceSpec, spec_of

def block_the_loop():
    time.sleep(3600)

async def work(runtime):
    block_the_loop()

blocking = ServiceSpec(name="ideas", settings=spec_of("ideas").settings, background=[work])
server.spec_of = lambda _: blocking
server.run("ideas")
"""


@contextmanager
def running(script: str, *arguments: object, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The script as a process."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_blocked_loop_ends_the_process_and_the_place_is_said(tmp_path: Path):
    with running(LOOP, 0.5, tmp_path / "beats", "blocks") as process:
        _, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == os.EX_SOFTWARE
    assert "block_the_loop" in errors


def test_a_loop_that_answers_goes_on_and_beats(tmp_path: Path):
    beats = tmp_path / "beats"
    with running(LOOP, 0.5, beats, "answers") as process:
        seen: set[str] = set()

        def has_beaten_often() -> bool:
            seen.add(heartbeat.read(beats))
            return len(seen) > 10

        assert wait_until(has_beaten_often, within=PATIENCE)
        assert process.poll() is None
        assert {each.split()[0] for each in seen if each} == {str(process.pid)}


def test_a_process_that_was_stopped_for_long_goes_on(tmp_path: Path):
    beats = tmp_path / "beats"
    with running(LOOP, 0.5, beats, "answers") as process:
        assert wait_until(lambda: bool(heartbeat.read(beats)), within=PATIENCE)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        last = heartbeat.read(beats)
        longer_than_the_limit = wait_until(lambda: False, within=1.5)
        os.kill(process.pid, signal.SIGCONT)

        assert not longer_than_the_limit
        assert wait_until(lambda: heartbeat.read(beats) != last, within=PATIENCE)
        assert process.poll() is None


def test_without_a_limit_nothing_is_watched(tmp_path: Path):
    beats = tmp_path / "beats"
    with running(LOOP, 0, beats, "blocks") as process:
        assert wait_until(lambda: bool(heartbeat.read(beats)), within=PATIENCE)
        first = heartbeat.read(beats)

        assert wait_until(lambda: heartbeat.read(beats) != first, within=PATIENCE)
        assert process.poll() is None


def test_a_service_whose_loop_is_blocked_ends_itself():
    """With everything around it as in production."""
    settings = {
        "TAAWON_DATABASE_URL": "postgresql+asyncpg://x:hidden@127.0.0.1:1/x",
        "TAAWON_AMQP_URL": "amqp://x:hidden@127.0.0.1:1/",
        "TAAWON_JWKS_URL": "http://127.0.0.1:1/",
        "TAAWON_HTTP_PORT": str(free_port()),
        "TAAWON_FROZEN_SECONDS": "1",
    }
    with running(SERVICE, **settings) as process:
        output, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == os.EX_SOFTWARE
    assert "event loop blocked" in output + errors
    assert "block_the_loop" in errors
    assert "hidden" not in output + errors
