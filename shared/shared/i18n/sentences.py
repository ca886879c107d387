"""Sentences for people, such as errors, in the language that they asked for.

The English of a `Sentence` is in the code; `locale/<language>/LC_MESSAGES/sentences.po` has it as
`msgid`, as gettext is mostly used. What a catalogue lacks is said in the fallback of its language,
in the end in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from shared.sentences import Name, Sentence

from .catalogues import read_catalogue
from .languages import LANGUAGES, LOCALE, SENTENCES, content_language, fallback_of

ENGLISH: Final = "en"
"""The language of whoever asks for none, as programs do."""
SENTENCE_LANGUAGES: Final = (ENGLISH, *LANGUAGES)
_MOST_RANGES: Final = 20
"""Most languages of one header that are looked at; a browser sends five."""


def in_language(language: str, text: str) -> str:
    """The sentence in this language; a text that is none is returned as it is."""
    if isinstance(text, Name):
        return text.ar if language in LANGUAGES and content_language(language) == "ar" else text
    if not isinstance(text, Sentence):
        return str(text)
    template = _translated(language, text.template)
    if not text.parameters:
        return template
    return template.format_map(
        {
            name: in_language(language, each) if isinstance(each, str) else each
            for name, each in text.parameters.items()
        }
    )


def say_all(language: str, data: Any) -> Any:
    """JSON data with every sentence in it in this language."""
    if isinstance(data, str):
        return in_language(language, data)
    if isinstance(data, dict):
        return {key: say_all(language, each) for key, each in data.items()}
    return [say_all(language, each) for each in data] if isinstance(data, list) else data


def asked_language(header: str | None) -> str:
    """The language of ours that an `Accept-Language` (RFC 9110) prefers; English if it names none.

    A region is ignored: `ar-MA` is `ar`. Of equal ones the first counts; `q=0` refuses one.
    """
    best, best_weight = ENGLISH, 0.0
    for entry in (header or "").split(",")[:_MOST_RANGES]:
        tag, _, rest = entry.partition(";")
        language, weight = tag.strip().lower().partition("-")[0], _weight(rest)
        if language in SENTENCE_LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def locale_language(*locales: str | None) -> str:
    """The language of the first locale that is set, such as `fr_MA.UTF-8`; else English."""
    for locale in locales:
        if locale:
            language = locale.replace("-", "_").partition("_")[0].partition(".")[0].lower()
            return language if language in SENTENCE_LANGUAGES else ENGLISH
    return ENGLISH


def _weight(parameters: str) -> float:
    """The `q` of one language: from 0 to 1, 1 where there is none, 0 where it is no number."""
    name, _, value = parameters.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _translated(language: str, template: str) -> str:
    asked: str | None = language if language in LANGUAGES else None
    while asked is not None:
        if found := sentences_of(asked).get(template):
            return found
        asked = fallback_of(asked)
    return template


@cache
def sentences_of(language: str) -> Mapping[str, str]:
    """The translations of this language by English template, read once."""
    if not (LOCALE / language / SENTENCES).is_file():
        return {}
    read = read_catalogue(language, SENTENCES)
    return {str(each.id): str(each.string) for each in read if each.id and each.string}
