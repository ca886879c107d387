"""docs/commands.md has every command that is installed, and where each of them runs."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from cli.commands_page import ANY_SERVICE, DEVELOPER, OPERATOR, commands_page, place_of
from cli.program import OPERATOR_COMMANDS
from shared.kernel.commands.program import SERVICE_COMMANDS


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
