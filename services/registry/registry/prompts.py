"""Reading values that no command line should hold: shells store it, and other users see it."""

from __future__ import annotations

import sys

import typer


def value_or_prompt(name: str, given: str | None) -> str:
    """The given option, else a prompt at a terminal, else the next line of standard input.

    Raises BadParameter where standard input has no more lines.
    """
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(name)).strip()
    line = sys.stdin.readline().strip()
    if not line:
        raise typer.BadParameter(f"{name}: give it as a line of standard input")
    return line
