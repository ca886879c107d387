"""Days and time zones in words: names of months and cities are those of the CLDR for Morocco."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from .catalogues import translate
from .locales import locale_of, plain


@lru_cache(maxsize=10_000)  # a page of alerts words the same few days over and over
def day(language: str, when: date) -> str:
    """« 1er septembre 2027 », « 2 شتنبر 2027 ».

    The first of a month has a pattern of its own in the catalogue: the CLDR has « 1 septembre ».
    """
    from babel.dates import format_date

    pattern = translate(language, "date.first_of_month") if when.day == 1 else "long"
    return plain(format_date(when, pattern, locale=locale_of(language)))


def numeric_day(language: str, when: date) -> str:
    """« 02/09/2027 », by the catalogue's pattern."""
    from babel.dates import format_date

    return plain(format_date(when, translate(language, "date.numeric"), locale=locale_of(language)))


def city(language: str, zone: str) -> str:
    """The city that a zone of the tz database is named after: « Casablanca », « الدار البيضاء »."""
    from babel.dates import get_timezone_location

    name = get_timezone_location(zone, locale=locale_of(language), return_city=True)
    return plain(name).rpartition("/")[2]
