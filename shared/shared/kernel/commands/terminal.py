"""What commands print: no text that somebody entered may give orders to the operator's terminal."""

from __future__ import annotations

import os
from typing import Any

import typer

from shared.spelling import controls_as_json, without_controls


def language() -> str:
    """The language of whoever calls: `TAAWON_LANGUAGE`, else that of the locale, else English."""
    from shared import i18n  # not above: `--help` needs no catalogues

    names = ("TAAWON_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    return i18n.locale_language(*(os.environ.get(name) for name in names))


def in_language(data: Any) -> Any:
    """The sentence, or JSON data with sentences, in the language of whoever calls."""
    from shared import i18n

    return i18n.say_all(language(), data)


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line, with each control character as its number; `err`: to standard error."""
    typer.echo(without_controls(str(text)), err=err)


def say_json(text: str | bytes) -> None:
    """Print JSON, with each control character in its values as an escape: the values stay."""
    typer.echo(controls_as_json(text if isinstance(text, str) else text.decode()))
