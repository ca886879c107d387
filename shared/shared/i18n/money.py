"""Amounts of money in words."""

from __future__ import annotations

from decimal import Decimal

from .catalogues import translate
from .locales import locale_of, plain


def dirhams(language: str, centimes: int) -> str:
    """An amount in dirhams: « 300 000,50 DH »; centimes only where there are any.

    The catalogue says « DH » and « درهم », as people write; the CLDR has « MAD » and « د.م. ».
    """
    from babel.numbers import format_decimal

    places = "#,##0.00" if centimes % 100 else "#,##0"
    shown = format_decimal(Decimal(centimes) / 100, places, locale=locale_of(language))
    return translate(language, "money.dirhams", amount=plain(shown))
