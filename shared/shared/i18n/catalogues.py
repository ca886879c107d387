"""Messages by key, from one gettext catalogue for each language.

Keys are dotted (`share.met_least`), not English sentences: nobody reads these texts in English,
many are pieces of a sentence that need a context anyway, and keys for codes contain the code
(`register.value.gie`). So a text may be rewritten without touching any Python.

Babel reads a catalogue when it is first needed; then it is kept. That costs a process, once, about
10 ms of processor time for babel and 3 ms for each language. Compiled .mo files would cost less,
but they would have to be built, and what is reviewed would not be what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import TYPE_CHECKING

from .languages import FILE, LOCALE, fallback_of

if TYPE_CHECKING:
    from babel.messages import Catalog

COUNT = "count"
"""The parameter that chooses the plural form of an entry that has several."""

Value = str | int


class MissingText(LookupError):
    """Neither the catalogue of the language nor one that stands in for it has this key."""


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language; those with plural forms have one text for each form."""

    texts: Mapping[str, str | Sequence[str]]
    form_for: Callable[[int], int]
    locale: str
    """Of the CLDR, such as `ar_MA`."""

    def text(self, message_id: str, parameters: Mapping[str, Value]) -> str:
        """The text with its parameters filled in; KeyError where there is no such text."""
        found = self.texts[message_id]
        if not isinstance(found, str):
            found = found[self.form_for(int(parameters[COUNT]))]
        return found.format_map(parameters)


def translate(language: str, message_id: str, /, **parameters: Value) -> str:
    """The message in this language, with its parameters; `count` chooses the plural form.

    The id is written out where it is used, so that a test can find what is missing or unused; ids
    that end with a code go by `Terms`. Raises MissingText for an id that no catalogue has.
    """
    return text_of(language, message_id, parameters)


def text_of(language: str, message_id: str, parameters: Mapping[str, Value]) -> str:
    """What `translate` returns, for an id that is not written out: only `Terms` may call this."""
    asked: str | None = language
    while asked is not None:
        catalogue = catalogue_of(asked)
        if message_id in catalogue.texts:
            return catalogue.text(message_id, parameters)
        asked = fallback_of(asked)
    raise MissingText(f"no text {message_id!r} for {language!r}")


@cache
def catalogue_of(language: str) -> Catalogue:
    """The catalogue of this language, read once."""
    read = read_catalogue(language)
    return Catalogue(
        texts={
            _first(message.id): message.string if message.pluralizable else _first(message.string)
            for message in read
            if message.id and message.string and all(message.string)
        },
        form_for=c2py(read.plural_expr),
        locale=str(read.locale),
    )


def read_catalogue(language: str, name: Path = FILE) -> Catalog:
    """A file of this language as babel's Catalog, with comments and flags."""
    # Imported here and not above: a process that shows no text need not load babel.
    from babel.messages.pofile import read_po

    with (LOCALE / language / name).open("rb") as file:
        return read_po(file, abort_invalid=True)


def _first(texts: str | Sequence[str]) -> str:
    return texts if isinstance(texts, str) else texts[0]
