"""The commands and files that the pages name exist; what is of one service says of which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli import program as cli
from shared.kernel.commands.program import LazyGroup

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
_CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_CALL = re.compile(r"(?<![\w/-])taawon((?: [\w$\"{}<>…/|-]+)+)")
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`|\]\(([\w./-]+)[)#]")
# Where a path of a page may begin: at the root, beside the page, or as docs/architecture.md says.
BEGINNINGS = (ROOT, ROOT / "shared" / "shared", *sorted((ROOT / "services").iterdir()))
NO_FILES = {"taawon/cli", "application/json", "http/protobuf"}
"""What looks like a path and is the name of something else."""
OF_ONE_SERVICE = {"dead-letters", "outbox", "keys"}


def calls(page: Path) -> Iterator[list[str]]:
    """The words after `taawon` of every call in code."""
    for block, inline in _CODE.findall(page.read_text(encoding="utf-8")):
        for found in _CALL.findall(block or inline):
            yield found.split()


def missing_files(page: Path) -> list[str]:
    """Paths in code and targets of links that are not there; what a run leaves is left out."""
    paths = {a or b for a, b in _PATH.findall(page.read_text(encoding="utf-8"))} - NO_FILES
    return sorted(
        path
        for path in paths
        if not path.startswith((".run/", ".venv/", "backup/", "deploy/certificates/"))
        and not any((start / path).exists() for start in (*BEGINNINGS, page.parent))
    )


@pytest.fixture(scope="module")
def program() -> LazyGroup:
    found = get_command(cli.build())
    assert isinstance(found, LazyGroup)
    return found


def wrong_with(words: list[str], program: LazyGroup) -> str | None:
    if words[0] not in program.commands:
        return f"no command {words[0]}"
    command = program.load(words[0])
    if not isinstance(command, TyperGroup):
        return None
    if len(words) > 1 and words[1] not in command.commands:
        return f"no {words[0]} {words[1]}"
    if words[0] in OF_ONE_SERVICE and len(words) == 2:
        return f"{words[0]} {words[1]} of which service?"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path, program: LazyGroup) -> None:
    wrong = {" ".join(words): wrong_with(words, program) for words in calls(page)}

    assert {call: why for call, why in wrong.items() if why} == {}


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert missing_files(page) == []


def test_a_file_that_is_gone_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`shared/gone.py`, [there](gone.md#part), `kernel/settings.py`")

    assert missing_files(page) == ["gone.md", "shared/gone.py"]


def test_calls_are_found_and_wrong_ones_are_refused(program: LazyGroup) -> None:
    assert len(list(calls(ROOT / "docs" / "operations.md"))) > 20
    assert wrong_with(["cure"], program) == "no command cure"
    assert wrong_with(["keys", "forge"], program) == "no keys forge"
    assert wrong_with(["outbox", "list"], program) == "outbox list of which service?"
