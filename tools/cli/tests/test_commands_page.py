"""docs/commands.md has every command that is installed, and where each of them runs."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import get_args

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli.commands_page import ANY_SERVICE, DEVELOPER, OPERATOR, commands_page, place_of
from cli.program import OPERATOR_COMMANDS, build
from shared.kernel.commands.program import SERVICE_COMMANDS, LazyGroup


@pytest.fixture(scope="module")
def page() -> str:
    return commands_page()


def section_of(page: str, title: str) -> str:
    """From the heading of a command to the next one."""
    return page.partition(f"# {title}\n")[2].partition("\n##")[0]


def test_every_installed_command_has_a_section(page):
    names = {e.name for g in (SERVICE_COMMANDS, OPERATOR_COMMANDS) for e in entry_points(group=g)}

    assert [name for name in sorted(names) if f"\n## taawon {name}\n" not in page] == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("serve", ANY_SERVICE),
        ("why", "Image of notifications"),
        ("accounts", "Image of registry"),
        ("doctor", OPERATOR),
        ("up", DEVELOPER),
        ("docs", DEVELOPER),
    ],
)
def test_a_command_says_where_it_runs(page, name, place):
    assert f"| [`{name}`](#taawon-{name}) | {place} |" in page
    assert f"*{place}.*" in section_of(page, f"taawon {name}")


def test_a_command_shows_what_it_needs_its_options_and_its_examples(page):
    section = section_of(page, "taawon dead-letters redrive")

    assert "taawon dead-letters redrive SERVICE NUMBER --who … --reason …" in section
    assert "| `--who` | Who decides; kept with the decision. |" in section
    assert "```sh\ntaawon dead-letters redrive notifications 7" in section


def test_a_default_and_a_variable_stand_with_their_option(page):
    assert "Unless given: 100." in section_of(page, "taawon dead-letters list")
    assert "Or `TAAWON_URLS`." in section_of(page, "taawon status")


def test_what_looks_like_an_element_of_html_is_escaped(page):
    assert r"TAAWON_\<SERVICE>_BROKER_PASSWORD" in page


def test_a_command_of_no_service_and_no_operator_runs_where_the_code_is():
    (demo,) = entry_points(group=OPERATOR_COMMANDS, name="demo")

    assert place_of(demo) == DEVELOPER


def commands(command, name):
    """A command and those below it, by their full names."""
    yield name, command
    if isinstance(command, TyperGroup):
        for below, each in command.commands.items():
            yield from commands(each, f"{name} {below}")


def test_every_number_of_a_command_is_read_in_plain_digits():
    """The types of the framework take `5_0` and `nan`; `shared.kernel.commands.numbers` does not"""
    program = get_command(build())
    assert isinstance(program, LazyGroup)
    read_by = {
        f"{full} {each.name}": each.type_descriptor.parameter_info.parser
        for name in program.commands
        for full, command in commands(program.load(name), name)
        for each in command.params
        if {int, float}
        & {each.type_descriptor.annotation, *get_args(each.type_descriptor.annotation)}
    }

    assert [name for name, parser in read_by.items() if parser is None] == []
    assert {"dead-letters redrive number", "status watch", "demo count"} <= read_by.keys()
