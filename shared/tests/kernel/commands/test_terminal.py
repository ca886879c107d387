"""No text that somebody entered gives orders to the terminal of an operator."""

from __future__ import annotations

import io

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError
from rich.table import Table
from rich.text import Text as RichText

from shared import i18n
from shared.contracts.base import LongText, Text
from shared.kernel.commands import terminal
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json
from shared.sentences import Sentence

HOSTILE = "Coop \x1b]0;mine\x07\x9b2J \u202egrA\rover [/] [red]x[/red]"
SHOWN = "Coop <U+001B>]0;mine<U+0007><U+009B>2J <U+202E>grA<U+000D>over [/] [red]x[/red]"
ORDERS = set("\x1b\x07\x9b\u202e\r")


def test_a_line_shows_control_characters_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)

    assert capsys.readouterr().out == f"{SHOWN}\n"


def test_json_keeps_its_values_and_has_control_characters_as_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_json(orjson.dumps({"title": HOSTILE}))

    out = capsys.readouterr().out
    assert orjson.loads(out) == {"title": HOSTILE}
    assert not set(out) & ORDERS


def printed(*what: Table | RichText | str) -> str:
    screen = Screen(file=io.StringIO(), width=200)
    screen.print(*what)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_table_shows_texts_as_they_are() -> None:
    table = Table("title", title="[/]")
    table.add_row(HOSTILE)

    out = printed(table, "[/]")

    assert SHOWN in out
    assert not set(out) & ORDERS


def test_a_styled_text_gives_no_orders_either() -> None:
    table = Table("title")
    table.add_row(RichText(HOSTILE))

    assert not set(printed(table, RichText(HOSTILE))) & ORDERS


@pytest.mark.parametrize("kind", [Text, LongText])
@pytest.mark.parametrize("text", ["a\x1bb", "a\x00b", "a\u202eb", "a\x9bb"])
def test_a_text_with_a_control_character_is_refused(kind: object, text: str) -> None:
    with pytest.raises(ValidationError, match=r"control character U\+.* leave it out"):
        TypeAdapter(kind).validate_python(text)


def test_a_text_may_have_tabs_lines_and_marks_of_direction() -> None:
    assert TypeAdapter(LongText).validate_python("a\tb\r\nc\u200f") == "a\tb\r\nc\u200f"


@pytest.mark.parametrize(
    ("set_to", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_MA.UTF-8"}, "fr"),
        ({"LANG": "fr_FR", "TAAWON_LANGUAGE": "ar"}, "ar"),
    ],
)
def test_a_command_speaks_the_language_of_its_caller(
    monkeypatch: pytest.MonkeyPatch, set_to: dict[str, str], language: str
) -> None:
    for name in ("TAAWON_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)

    assert terminal.language() == language
    assert terminal.in_language(Sentence("region")) == i18n.in_language(
        language, Sentence("region")
    )
