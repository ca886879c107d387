"""Spellings of one text that look alike or mean the same, and characters that no text needs."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""Control characters but tab and line ends, and what turns the direction of text around."""
_ORDERS: Final = re.compile(f"{_CONTROLS.pattern}|\r")
"""The same, and the carriage return: a terminal writes over the line with what follows it."""


def plain(text: str) -> str:
    """The text in compatibility form (NFKC), its digits those of ASCII, without format characters.

    Full-width and Arabic-Indic digits, ligatures and invisible marks are spellings of one text.
    """
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text)
    return unicodedata.normalize("NFKC", "".join(map(_plain_character, normal)))


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return str(unicodedata.digit(character)) if category == "Nd" else character


_NUMBER: Final = re.compile(r"[0-9]+|-0*[1-9][0-9]*")


def is_plain_number(text: str) -> bool:
    """Whether it is a whole number as people write one: digits, and a minus before them at most.

    `int` takes more: `5_0`, ` 5`, `+5`, and the digits of every script.
    """
    return _NUMBER.fullmatch(text) is not None


def identity_key(text: str) -> str:
    """The same for all spellings of a number or code: as `plain`, in one case, without spaces."""
    return "".join(plain(plain(text).casefold()).split())


def email_key(email: str) -> str:
    """The same for all spellings of an e-mail address: `plain`, in one case, its domain in ASCII.

    An international domain is compared as its IDNA form; one that has none as it is.
    """
    local, at, domain = plain(plain(email).casefold()).strip().rpartition("@")
    return local + at + _ascii_domain(domain)


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def control_character(text: str) -> str | None:
    """The first control character, by its number as `U+202E`; None if the text has none."""
    found = _CONTROLS.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def without_controls(text: str) -> str:
    """The text with each control character as its number, so that no terminal obeys it."""
    return _ORDERS.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def controls_as_json(text: str) -> str:
    """The same JSON with each control character of its values as an escape."""
    return _ORDERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
