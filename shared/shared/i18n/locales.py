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
    """The language's babel.Locale."""
    from babel import Locale

    return Locale.parse(catalogue_of(language).locale)


def direction(language: str) -> Direction:
    """From which side the language is written."""
    return "rtl" if locale_of(language).text_direction == "rtl" else "ltr"


def plain(text: str) -> str:
    """With plain spaces and no marks of direction: either makes an SMS cost double."""
    return text.translate(_PLAIN)
