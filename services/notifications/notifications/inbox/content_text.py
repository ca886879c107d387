"""What a content says in a language: the same for all of its readers, so it is worded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from notifications.fanout.domain.contents import KEPT, Content
from shared.contracts.base import Language
from shared.i18n.languages import content_language

from .change_text import Change, changes
from .offer_text import offer_of, offer_of_track, short_text

LANGUAGES_READ: Final = 2
"""The languages that most readers have; contents are kept in words for so many."""


@dataclass(frozen=True)
class TrackWords:
    """The name of a track and what it gives; None where it says nothing of it."""

    name: str | None
    offer: str | None


@dataclass(frozen=True)
class ContentWords:
    """What a content says to whoever reads it in one language."""

    title: str
    title_language: Language
    summary: str
    summary_language: Language
    funder: str | None
    deadline: str | None
    tracks: tuple[TrackWords, ...]


@dataclass(frozen=True)
class OfferWords:
    """What a content gives those for whom the same tracks are: its offer, and it in one line."""

    offer: str | None
    short_text: str


@lru_cache(maxsize=LANGUAGES_READ * KEPT)
def words_of(content: Content, language: str) -> ContentWords:
    """The content in this language."""
    said, written = content.announcement, content_language(language)
    funder = said.detail("funder")
    return ContentWords(
        title=said.title.in_language(written),
        title_language=said.title.language_for(written),
        summary=said.text.in_language(written),
        summary_language=said.text.language_for(written),
        funder=str(funder.value) if funder else None,
        deadline=said.deadline.in_language(written) if said.deadline else None,
        tracks=tuple(
            TrackWords(
                name=track.name.in_language(written) if track.name else None,
                offer=offer_of_track(said, number, language),
            )
            for number, track in enumerate(said.tracks)
        ),
    )


@lru_cache(maxsize=LANGUAGES_READ * KEPT)
def offer_words_of(content: Content, tracks: tuple[int, ...], language: str) -> OfferWords:
    """What the content gives those for whom the tracks of these numbers are, or may be."""
    offer = offer_of(content.announcement, tracks, language)
    return OfferWords(offer, short_text(content.announcement, offer, language))


@lru_cache(maxsize=LANGUAGES_READ * KEPT)
def changes_to(before: Content, after: Content, language: str) -> tuple[Change, ...]:
    """`changes` between two contents of a subject."""
    return tuple(changes(before.announcement, after.announcement, language))
