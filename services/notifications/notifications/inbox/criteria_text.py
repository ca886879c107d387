"""A track in words: its name, what it grants, and its criteria."""

from __future__ import annotations

from collections.abc import Iterator

from notifications.labels import name_of_value
from shared.contracts.announcement import AnnouncementTrack
from shared.contracts.criteria import Criteria, MinShare
from shared.i18n.catalogues import translate
from shared.i18n.languages import content_language
from shared.i18n.terms import Terms
from shared.offers import terms_in_words

CRITERION = Terms("criterion", Criteria.model_fields, parameters=("value", "count"))
CODES = {
    "regions": "region",
    "provinces": "province",
    "communes": "commune",
    "sectors": "sector",
    "branches": "branch",
}


def in_words(track: AnnouncementTrack, language: str) -> str:
    """The name of the track, and in brackets what it grants and its criteria."""
    stated = [*_grants(track, language), *_criteria(track.criteria, language)]
    words = translate(language, "list.semicolon").join(stated)
    if track.name is None:
        return words
    name = track.name.in_language(content_language(language))
    return f"{name} ({words})" if words else name


def names(field: str, codes: tuple[str, ...], language: str) -> str:
    """The names of the codes of a field, as a list."""
    shown = (name_of_value(CODES.get(field, field), code, language) for code in codes)
    return translate(language, "list.comma").join(shown)


def _grants(track: AnnouncementTrack, language: str) -> Iterator[str]:
    written = content_language(language)
    for detail in track.details:
        if detail.label and detail.shown:
            yield f"{detail.label.in_language(written)} : {detail.shown.in_language(written)}"
    yield from terms_in_words({each.code: each.value for each in track.details}, language)


def _criteria(criteria: Criteria, language: str) -> Iterator[str]:
    for field in Criteria.model_fields:
        value = getattr(criteria, field)
        if value is None or value == ():
            continue
        if isinstance(value, int):
            yield CRITERION.text(language, field, count=value)
        else:
            yield CRITERION.text(language, field, value=_in_words(field, value, language))


def _in_words(field: str, value: MinShare | tuple[str, ...], language: str) -> str:
    if isinstance(value, tuple):
        return names(field, value, language)
    if value.strict:
        return translate(language, "threshold.above", percent=value.percent)
    return translate(language, "threshold.least", percent=value.percent)
