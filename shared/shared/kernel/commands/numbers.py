"""Numbers as options and arguments of commands: in plain digits, as in addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import typer

from shared.contracts.numbers import LARGEST_BIGINT
from shared.spelling import is_plain_number

_DECIMAL: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


def whole_number(least: int = 0, most: int = LARGEST_BIGINT) -> Callable[[str], int]:
    """The parser of a whole number from `least` to `most`.

    It raises `typer.BadParameter` for what is outside, and for what `int` alone would take.
    """

    def number(text: str) -> int:
        if not is_plain_number(str(text)):
            raise typer.BadParameter(f"{text!r} is no whole number: give it in digits")
        if not least <= int(text) <= most:
            raise typer.BadParameter(f"{text} is not in the range from {least} to {most}")
        return int(text)

    return number


def decimal(text: str) -> float:
    """A number of at least 0, as 0.5. Raises `typer.BadParameter`, for `nan` and `1e9` too."""
    if not _DECIMAL.fullmatch(str(text)):
        raise typer.BadParameter(f"{text!r} is no number: give it in digits, as 0.5")
    return float(text)
