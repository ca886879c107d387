"""What commands print: no text that somebody entered may give orders to the operator's terminal."""

from __future__ import annotations

import typer

from shared.spelling import controls_as_json, without_controls


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line, with each control character as its number; `err`: to standard error."""
    typer.echo(without_controls(str(text)), err=err)


def say_json(text: str | bytes) -> None:
    """Print JSON, with each control character in its values as an escape: the values stay."""
    typer.echo(controls_as_json(text if isinstance(text, str) else text.decode()))
