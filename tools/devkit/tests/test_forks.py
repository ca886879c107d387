"""Commands that are forked instead of started: each has its own environment, output and end."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from devkit.forks import commands, exit_code_of, spawn_fork
from devkit.processes import Process
from devkit.pytest_plugin import PATIENCE
from shared.kernel.waiting import wait_until

NOTHING = {"PATH": os.defpath, "COLUMNS": "200"}


def test_a_command_puts_out_what_it_would_in_a_process_of_its_own():
    drawn = commands().run("register", "generate", "--count", "3", env=NOTHING)

    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert len(drawn.stdout.splitlines()) == 4


def test_a_command_has_the_environment_that_is_given_and_no_other(monkeypatch):
    monkeypatch.setenv("TAAWON_DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/none")

    asked = commands().run("dead-letters", "list", "mill", env=NOTHING)

    assert asked.returncode == 1
    assert asked.stderr.startswith("taawon: mill is not installed here")


def test_commands_that_run_at_once_keep_their_output_apart():
    with ThreadPoolExecutor(4) as pool:
        counts = (2, 3, 4, 5)
        drawn = pool.map(
            lambda n: commands().run("register", "generate", "--count", str(n), env=NOTHING), counts
        )

        assert [len(each.stdout.splitlines()) for each in drawn] == [n + 1 for n in counts]


def test_a_refused_command_ends_with_an_exit_code():
    refused = commands().run("register", "import", "/nowhere.csv", env=NOTHING)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "/nowhere.csv" in refused.stderr


def test_a_forked_service_is_a_process_with_a_record_and_a_log_of_its_own(tmp_path):
    process = Process(tmp_path, "funding")
    command = [sys.executable, "-m", "cli.program", "serve", "funding"]

    pid = process.start(command, env=NOTHING, cwd=tmp_path, spawn=spawn_fork)
    ended = wait_until(lambda: not process.is_running(), within=PATIENCE)

    assert pid != os.getpid()
    assert ended
    assert wait_until(lambda: exit_code_of(pid) is not None, within=PATIENCE)
    assert exit_code_of(pid) == 1
    assert "TAAWON_DATABASE_URL" in process.log.read_text()
