"""What a subject gives its reader, in words, and an alert of it in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.contracts.announcement import Announcement
from shared.i18n.catalogues import translate
from shared.i18n.languages import content_language
from shared.offers import offer_in_words

from .change_text import VALUES


def offer_of_track(content: Announcement, number: int, language: str) -> str | None:
    """Kind of support, cap, rate and own share of one track; None where it says nothing of them."""
    kind, track = content.detail("kind"), content.tracks[number]
    values = {each.code: each.value for each in track.details}
    return offer_in_words(str(kind.value) if kind else None, values, language)


def offer_of(content: Announcement, tracks: Iterable[int], language: str) -> str | None:
    """The same of several tracks in one line, by the name of each where they differ."""
    offers = {number: offer_of_track(content, number, language) for number in tracks}
    said = {number: offer for number, offer in offers.items() if offer is not None}
    if len(set(said.values())) <= 1:
        return next(iter(said.values()), None)
    return translate(language, "list.semicolon").join(_by_track(content, said, language))


def _by_track(content: Announcement, offers: dict[int, str], language: str) -> Iterator[str]:
    for number, offer in offers.items():
        name = content.tracks[number].name
        shown = name.in_language(content_language(language)) if name else str(number + 1)
        yield translate(language, "offer.of_track", track=shown, offer=offer)


def short_text(content: Announcement, offer: str | None, language: str) -> str:
    """The alert in one line: title, what it gives, deadline; or the title and that it is over."""
    written = content_language(language)
    title = content.title.in_language(written)
    if content.state != "open":
        return translate(
            language, "alert.about", title=title, text=VALUES.name(language, content.state)
        )
    text = translate(language, "alert.about", title=title, text=offer) if offer else title
    if content.deadline is None:
        return text
    shown = content.deadline.in_language(written)
    return translate(language, "alert.until", text=text, deadline=shown)
