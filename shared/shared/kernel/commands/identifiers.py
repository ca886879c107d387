"""Ids as arguments of commands."""

from __future__ import annotations

from uuid import UUID

import typer


def identifier(text: str) -> UUID:
    """The id that an argument names.

    Raises `typer.BadParameter` for what is no UUID, and for the nil UUID: it is the id of nothing.
    """
    try:
        found = UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no id: give a UUID") from None
    if found.int == 0:
        raise typer.BadParameter("the nil UUID is the id of nothing: give the id of what is meant")
    return found
