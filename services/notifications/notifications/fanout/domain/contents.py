"""Contents of subjects as they are read again and again: each is parsed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from shared.contracts.announcement import Announcement
from shared.contracts.base import PartlyLocalized, PartlyLocalizedLong
from shared.contracts.criteria import Criteria

from .subjects import audience_tracks

KEPT: Final = 256
"""How many contents a process keeps parsed: more than are on a few pages of any inbox."""


@dataclass(frozen=True, eq=False)
class Content:
    """What was published of a subject at one version.

    One object stands for one content, so what is derived of it may be kept by the object.
    """

    announcement: Announcement

    @cached_property
    def criteria(self) -> tuple[Criteria, ...]:
        """`audience_tracks` of the content."""
        return audience_tracks(self.announcement)


@lru_cache(maxsize=KEPT)
def read_content(stored: str) -> Content:
    """The content that is stored as this JSON text.

    It is kept by the text and by nothing else, so what is found is never that of another version.
    """
    return Content(Announcement.model_validate_json(stored))


@lru_cache(maxsize=KEPT)
def read_translated(stored: str, newest_title: str, newest_text: str) -> Content:
    """The content that is stored as this JSON text, with what was translated of it since: the JSON
    texts of title and text in the newest version of the subject say so (`completed_by`).
    """
    content = read_content(stored)
    said = content.announcement
    title = said.title.completed_by(PartlyLocalized.model_validate_json(newest_title))
    text = said.text.completed_by(PartlyLocalizedLong.model_validate_json(newest_text))
    if (title, text) == (said.title, said.text):
        return content
    return Content(said.model_copy(update={"title": title, "text": text}))
