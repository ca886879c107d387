"""The commands that the pages name exist, and those of one service name it."""

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
_CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_CALL = re.compile(r"(?<![\w/-])taawon((?: [\w$\"{}<>…/|-]+)+)")
OF_ONE_SERVICE = {"dead-letters", "outbox", "keys"}


def calls(page: Path) -> Iterator[list[str]]:
    """The words after `taawon` of every call in code."""
    for block, inline in _CODE.findall(page.read_text(encoding="utf-8")):
        for found in _CALL.findall(block or inline):
            yield found.split()


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


def test_calls_are_found_and_wrong_ones_are_refused(program: LazyGroup) -> None:
    assert len(list(calls(ROOT / "docs" / "operations.md"))) > 20
    assert wrong_with(["cure"], program) == "no command cure"
    assert wrong_with(["keys", "forge"], program) == "no keys forge"
    assert wrong_with(["outbox", "list"], program) == "outbox list of which service?"
