"""The exit code of `make chaos` says to a program what its table says to people."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from . import __main__ as command
from . import report
from .builders import RUN, a_result, a_row

LOST = report.row_of(a_result("kill -9", "funding", lost=1), RUN)


def chaos(rows: list[report.Row], monkeypatch: pytest.MonkeyPatch, *arguments: str):
    """The command, where a run has these rows as its outcome."""

    async def run(options: command.Options) -> list[report.Row]:
        return rows

    monkeypatch.setattr(command, "run", run)
    app = typer.Typer()
    app.command()(command.chaos)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the logs of a run's processes."""
    monkeypatch.setenv("TAAWON_RUN", str(tmp_path))
    folder = tmp_path / "chaos"
    folder.mkdir()
    return folder


def test_nothing_is_left_of_a_run_in_which_all_held(logs: Path, monkeypatch: pytest.MonkeyPatch):
    assert chaos([a_row("kill -9", "ideas")], monkeypatch).exit_code == 0
    assert not logs.exists()


def test_a_row_that_does_not_hold_ends_with_1_and_keeps_the_logs(
    logs: Path, monkeypatch: pytest.MonkeyPatch
):
    assert chaos([a_row("kill -9", "ideas"), LOST], monkeypatch).exit_code == 1
    assert logs.exists()


def test_the_page_is_not_written_of_a_part(logs: Path, monkeypatch: pytest.MonkeyPatch):
    assert chaos([], monkeypatch, "--only", "funding", "--write-docs").exit_code == 2
    assert chaos([], monkeypatch, "--only", "nothing of this name").exit_code == 2
