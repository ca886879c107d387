"""Values that no command line should hold: shells keep it, and everybody sees who runs what."""

from __future__ import annotations

import sys

import typer


def asked(name: str, given: str | None) -> str:
    """The option if it was given, else the next line of standard input, asked for at a terminal."""
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(name)).strip()
    line = sys.stdin.readline().strip()
    if not line:
        raise typer.BadParameter(f"{name}: give it as a line of standard input")
    return line
