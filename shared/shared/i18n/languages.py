"""The languages that readers may choose: those that have a catalogue."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from shared.sentences import Sentence

LOCALE = Path(__file__).parent / "locale"
FILE = Path("LC_MESSAGES", "taawon.po")
SENTENCES = Path("LC_MESSAGES", "sentences.po")

Direction = Literal["ltr", "rtl"]
ContentLanguage = Literal["ar", "fr"]
"""Languages that contents of events and names of places are always written in."""

_CONTENT: dict[str, ContentLanguage] = {"ar": "ar", "fr": "fr"}

DEFAULT: ContentLanguage = "ar"
"""The language of readers whose own has no catalogue, or no longer has one."""

_FALLBACK = re.compile(r'^"X-Fallback: ([a-z]{2,3})\\n"$', re.MULTILINE)
"""The `X-Fallback` line of a catalogue's header, which Babel does not keep."""

LANGUAGES = tuple(sorted(path.name for path in LOCALE.iterdir() if (path / FILE).is_file()))
"""The ISO 639 codes of the languages that have a catalogue, sorted."""


def known_language(code: str) -> str:
    """The code itself. Raises ValueError, with the codes to choose from, if it is none of them."""
    if code not in LANGUAGES:
        raise ValueError(
            Sentence(
                "there are no texts in {code}: choose one of {languages}",
                code=repr(code),
                languages=", ".join(LANGUAGES),
            )
        )
    return code


ReaderLanguage = Annotated[
    str,
    AfterValidator(known_language),
    WithJsonSchema({"type": "string", "enum": list(LANGUAGES)}),
]
"""A language of `LANGUAGES`; anything else is refused at the edge."""


def reader_language(code: str) -> str:
    """The language itself if it has a catalogue, else `DEFAULT`."""
    return code if code in LANGUAGES else DEFAULT


@cache
def fallback_of(language: str) -> str | None:
    """The language whose texts replace those that the catalogue lacks; None: it is complete."""
    found = _FALLBACK.search((LOCALE / language / FILE).read_text(encoding="utf-8"))
    return found[1] if found else None


@lru_cache(maxsize=1_000)
def content_language(language: str) -> ContentLanguage:
    """The one of its two languages in which a reader of this language gets an event's content."""
    written = _CONTENT.get(language)
    return written or content_language(fallback_of(language) or DEFAULT)
