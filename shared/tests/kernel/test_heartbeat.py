"""A process whose heartbeat stands still is ended from outside; one that was only paused is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.pytest_plugin import PATIENCE
from shared.kernel import heartbeat
from shared.kernel.heartbeat import LEAST_LOOKS, Stillness, end_frozen
from shared.kernel.waiting import wait_until

BEATING = """
import sys, time
from pathlib import Path
from shared.kernel import heartbeat
while True:
    heartbeat.beat(Path(sys.argv[1]))
    time.sleep(0.01)
"""


@pytest.fixture
def beats(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


@pytest.fixture
def process(beats: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has begun to beat."""
    with subprocess.Popen([sys.executable, "-c", BEATING, str(beats)]) as process:
        try:
            assert wait_until(lambda: bool(heartbeat.read(beats)), within=PATIENCE)
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[bytes]) -> None:
    """Stop it with SIGSTOP; it has stopped on return."""
    os.kill(process.pid, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_a_stopped_process_is_killed(process: subprocess.Popen[bytes], beats: Path, capfd):
    stopped(process)

    ended = wait_until(lambda: end_frozen(beats, seconds=0.2), within=PATIENCE)

    assert ended
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert f"process {process.pid} is killed" in capfd.readouterr().err


def test_a_process_that_beats_is_left_alone(process: subprocess.Popen[bytes], beats: Path):
    looks = []
    for _ in range(LEAST_LOOKS * 2):
        before = heartbeat.read(beats)
        looks.append(end_frozen(beats, seconds=0.001))
        assert wait_until(lambda before=before: heartbeat.read(beats) != before, within=PATIENCE)

    assert not any(looks)
    assert process.poll() is None


def test_a_process_that_goes_on_after_a_pause_is_left_alone(
    process: subprocess.Popen[bytes], beats: Path
):
    stopped(process)
    for _ in range(LEAST_LOOKS - 1):
        assert not end_frozen(beats, seconds=0.0001)
    last = heartbeat.read(beats)
    os.kill(process.pid, signal.SIGCONT)
    assert wait_until(lambda: heartbeat.read(beats) != last, within=PATIENCE)

    assert not end_frozen(beats, seconds=0.0001)
    assert process.poll() is None


def test_without_a_heartbeat_nobody_is_frozen(beats: Path, monkeypatch: pytest.MonkeyPatch):
    assert not any([end_frozen(beats, seconds=0.0001) for _ in range(LEAST_LOOKS * 2)])

    monkeypatch.delenv(heartbeat.FILE, raising=False)
    assert not heartbeat.end_frozen_process()


@pytest.mark.parametrize(("seconds", "is_frozen"), [(60, True), (61, False), (0, False)])
def test_frozen_is_who_stood_still_for_so_long(seconds: float, is_frozen: bool):
    seen = Stillness()
    for now in (0, 20, 40, 60):
        seen = seen.after("7 1.0", now)

    assert seen.is_frozen(60, seconds) is is_frozen
    assert seen.pid == 7


def test_one_look_long_after_another_proves_nothing():
    """As after a machine or its containers were paused."""
    seen = Stillness().after("7 1.0", 0).after("7 1.0", 10_000)

    assert not seen.is_frozen(10_000, 60)


def test_the_environment_names_the_heartbeat_and_the_limit(
    process: subprocess.Popen[bytes], beats: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(heartbeat.FILE, str(beats))
    monkeypatch.setenv(heartbeat.SECONDS, "0.1")
    stopped(process)

    assert wait_until(heartbeat.end_frozen_process, within=PATIENCE)
