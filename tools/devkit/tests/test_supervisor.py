"""What dies is started again with growing pauses; its end is said, and a crash loop is named."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from devkit.processes import NotStarted, Process
from devkit.pytest_plugin import PATIENCE
from devkit.stack_layout import PROVISIONER, SUPERVISOR, Place
from devkit.supervisor import CALM_SECONDS, LOOP_ENDS, Restarts, Supervised, Supervisor
from shared.kernel import heartbeat
from shared.kernel.waiting import wait_until

ENV = {"PATH": os.defpath}
SCRIPT = "echo it holds no water; exec sleep 600"


class Watched:
    """One program under a supervisor that runs in a thread of the test."""

    def __init__(self, folder: Path) -> None:
        self.process = Process(folder, "program")
        self.script = SCRIPT
        self.said: list[str] = []
        self.start()
        supervised = Supervised(self.process, self.start)
        self.supervisor = Supervisor([supervised], self.said.append, folder / "loops.json")
        self.thread = Thread(target=self.supervisor.run)
        self.thread.start()

    def start(self) -> None:
        self.process.start(["sh", "-c", self.script], env=ENV)

    def crash(self) -> int:
        """Kill it as the system would; the pid that it had."""
        pid = self.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def runs_again(self, before: int) -> bool:
        return wait_until(lambda: self.process.pid not in {None, before}, within=PATIENCE)

    def says(self, words: str) -> bool:
        return wait_until(lambda: any(words in each for each in self.said), within=PATIENCE)

    def end(self) -> None:
        self.supervisor.over.set()
        self.thread.join()
        self.process.kill9()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr("devkit.supervisor.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("devkit.supervisor.LOOK_SECONDS", 0.02)
    watched = Watched(tmp_path)
    yield watched
    watched.end()


def test_a_killed_process_runs_again_and_the_end_of_its_log_was_said(watched: Watched):
    assert wait_until(lambda: "water" in watched.process.log_tail(), within=PATIENCE)

    before = watched.crash()

    assert watched.runs_again(before)
    assert watched.says("program has ended")
    assert watched.says("it holds no water")
    assert watched.says("program is started again")


@pytest.mark.parametrize("has_died_before", [False, True])
def test_what_is_stopped_on_purpose_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_died_before: bool
):
    monkeypatch.setattr("devkit.supervisor.FIRST_PAUSE", 0.0)
    process = Process(tmp_path, "program")
    start = partial(process.start, ["sleep", "600"], env=ENV)
    pid = start()
    supervisor = Supervisor([Supervised(process, start)], print, tmp_path / "loops.json")
    if has_died_before:
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not process.is_running(), within=PATIENCE)
        supervisor.look()

    process.stop()
    supervisor.look()
    supervisor.look()

    assert not process.is_running()


def test_a_crash_loop_is_named_to_people_and_to_the_doctor(watched: Watched):
    watched.script = "echo no such database; exit 1"

    watched.crash()

    assert watched.says("program is in a crash loop")
    assert watched.says("no such database")
    loops = json.loads(watched.supervisor.report.read_bytes())
    assert loops["program"] >= LOOP_ENDS


def test_a_start_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("devkit.supervisor.FIRST_PAUSE", 0.0)
    process = Process(tmp_path, "server")
    process.record.write_text("{}")
    refusals = iter([NotStarted("its port is taken"), None])

    def start() -> None:
        process.record.unlink(missing_ok=True)  # as a server does that could not be started
        refusal = next(refusals)
        if refusal is not None:
            raise refusal
        process.start(["sleep", "600"], env=ENV)

    said: list[str] = []
    supervisor = Supervisor([Supervised(process, start)], said.append, tmp_path / "loops.json")
    for _ in range(4):
        supervisor.look()
    is_running = process.is_running()
    process.kill9()

    assert is_running
    assert any("server can't be started: its port is taken" in each for each in said)


def test_delays_grow_to_a_minute_and_begin_anew_after_a_calm_time():
    restarts = Restarts(started_at=0.0)

    delays = [restarts.ended(now=1.0) for _ in range(9)]
    was_loop = restarts.is_crash_loop
    later = restarts.ended(now=CALM_SECONDS)

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert was_loop
    assert later == 1
    assert not restarts.is_crash_loop


def test_ending_the_supervisor_ends_nothing_that_it_started(tmp_path: Path):
    supervisor = Process(tmp_path, SUPERVISOR)
    supervisor.start(["sh", "-c", "sleep 600 & echo $! >child; wait"], env=ENV)
    child = tmp_path / "child"
    supervisor.wait_for(lambda: child.exists() and bool(child.read_text()), within=PATIENCE)

    supervisor.stop(is_alone=True)

    pid = int(child.read_text())
    os.kill(pid, signal.SIGKILL)  # raises where it had ended too
    assert not supervisor.is_running()


def test_a_supervisor_that_died_is_missed_and_one_that_never_ran_is_not(tmp_path: Path):
    place = Place(tmp_path)
    never = place.stopped()
    supervisor = place.process(SUPERVISOR)
    supervisor.start(["sleep", "600"], env=ENV)
    pid = supervisor.pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    assert wait_until(lambda: not supervisor.is_running(), within=PATIENCE)
    assert never == (PROVISIONER,)
    assert place.stopped() == (PROVISIONER, SUPERVISOR)
    assert place.crash_loops() == {}


BEATING = """
import sys, time
from pathlib import Path
from shared.kernel import heartbeat
while True:
    heartbeat.beat(Path(sys.argv[1]))
    time.sleep(0.02)
"""


def test_a_frozen_process_is_killed_and_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("devkit.supervisor.FIRST_PAUSE", 0.0)
    process, beats, said = Process(tmp_path, "program"), tmp_path / "beats", list[str]()

    def start() -> None:
        process.start([sys.executable, "-c", BEATING, str(beats)], env=dict(os.environ))

    start()
    one = Supervised(process, start, beats, frozen_seconds=0.5)
    supervisor = Supervisor([one], said.append, tmp_path / "loops.json")
    before = process.pid
    assert before is not None
    assert wait_until(lambda: bool(heartbeat.read(beats)), within=PATIENCE)
    os.kill(before, signal.SIGSTOP)

    def runs_again() -> bool:
        supervisor.look()
        return process.pid not in {None, before}

    assert wait_until(runs_again, within=PATIENCE)
    process.kill9()
    assert "program is frozen, and is killed" in said
