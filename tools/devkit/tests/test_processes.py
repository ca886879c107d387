"""A program that is started, found, stopped and killed by whoever has its folder."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.identity import Identity
from devkit.processes import NotStarted, Process
from devkit.pytest_plugin import PATIENCE
from shared.kernel.waiting import wait_until

ENV = {"PATH": os.defpath}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Process]:
    program = Process(tmp_path, "program")
    yield program
    program.kill9()


def test_another_process_stops_what_we_started(program, in_another_process):
    pid = program.start(["sleep", "60"], env=ENV)

    in_another_process(
        "from devkit.processes import Process; Process(folder, 'program').stop()",
        program.folder,
    )

    assert not program.is_running()
    assert Identity.of(pid) is None


def test_starting_what_runs_already_changes_nothing(program):
    first = program.start(["sleep", "60"], env=ENV)

    assert program.start(["sleep", "61"], env=ENV) == first


def test_stopping_ends_also_what_the_program_started(program, processes_of):
    program.start(["sh", "-c", "setsid sleep 61 & sleep 62"], env=ENV | {"MARK": str(program.log)})
    program.wait_for(lambda: len(processes_of(program.log)) == 3, within=PATIENCE)

    program.stop()

    assert processes_of(program.log) == []


def test_a_program_that_will_not_end_is_ended(program):
    program.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], env=ENV)
    program.wait_for(lambda: "ready" in program.log_tail(), within=PATIENCE)

    program.stop(grace=0.2)

    assert not program.is_running()


def test_killing_leaves_no_time_to_clean_up(program, tmp_path):
    script = f"trap 'touch {tmp_path}/cleaned; exit' TERM; echo ready; while :; do sleep 0.1; done"
    program.start(["sh", "-c", script], env=ENV)
    program.wait_for(lambda: "ready" in program.log_tail(), within=PATIENCE)

    program.kill9()

    assert not program.is_running()
    assert not (tmp_path / "cleaned").exists()


def test_a_pid_that_another_program_has_by_now_is_never_signalled(program):
    program.record.write_text(json.dumps({"pid": os.getpid(), "born": 123.0}))
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append("TERM"))

    program.stop()

    signal.signal(signal.SIGTERM, before)
    assert received == []
    assert not program.record.exists()


@pytest.mark.parametrize("record", ["", "12", "{}", "null", '{"pid": 1}', "\0\0\0"])
def test_a_damaged_record_names_no_process(program, record):
    program.record.write_text(record)

    assert not program.is_running()


def test_a_program_that_ends_too_early_shows_its_last_words(program):
    program.start(["sh", "-c", "echo the disk is full; sleep 0.2; exit 1"], env=ENV)

    with pytest.raises(NotStarted, match="the disk is full"):
        program.wait_for(lambda: False, within=PATIENCE)


def test_a_program_that_is_never_ready_is_not_waited_for_without_end(program):
    program.start(["sleep", "600"], env=ENV)
    begun = time.monotonic()

    with pytest.raises(NotStarted, match=r"not ready after 0\.2 s"):
        program.wait_for(lambda: False, within=0.2)

    assert time.monotonic() - begun < PATIENCE


def test_a_dead_child_is_reaped(program):
    pid = program.start(["sleep", "0.1"], env=ENV)

    assert wait_until(lambda: not program.is_running(), within=PATIENCE)

    assert not Path(f"/proc/{pid}").exists()


def test_the_log_of_the_last_start_is_kept_beside_the_new_one(program):
    for word in ("first", "second"):
        program.start(["sh", "-c", f"echo {word}; sleep 60"], env=ENV)
        program.wait_for(lambda word=word: word in program.log_tail(), within=PATIENCE)
        program.stop()

    assert "first" in program.log.with_suffix(".log.1").read_text()
    assert "first" not in program.log.read_text()


def test_a_program_receives_the_interrupt_that_its_parent_ignores(program):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    program.start(["sleep", "60"], env=ENV)
    signal.signal(signal.SIGINT, before)

    program.stop(grace=5, by=signal.SIGINT)

    assert not program.is_running()
