"""What the Unicode CLDR says of a language, by the locale in its catalogue's header."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .catalogues import catalogue_of
from .languages import Direction

if TYPE_CHECKING:
    from babel import Locale

_PLAIN = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u200e": "", "\u200f": ""})


@cache
def locale_of(language: str) -> Locale:
    """The locale that the header of the language's catalogue names."""
    from babel import Locale

    return Locale.parse(catalogue_of(language).locale)


@cache
def direction(language: str) -> Direction:
    """The direction in which the language is written."""
    return "rtl" if locale_of(language).text_direction == "rtl" else "ltr"


def plain(text: str) -> str:
    """The text with plain spaces and without marks of direction, which make an SMS cost double."""
    return text.translate(_PLAIN)
