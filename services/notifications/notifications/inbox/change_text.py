"""What a correction changes, in the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, get_args

from pydantic import BaseModel, Field

from notifications.fanout.domain.subjects import NOT_COMPARED, changes_between
from shared.business_days import MOROCCO
from shared.contracts.announcement import Announcement, Detail
from shared.contracts.base import PartlyLocalized, PartlyLocalizedLong
from shared.contracts.deadline import Deadline
from shared.contracts.funding import CallKind, CallSnapshot, CallState
from shared.contracts.ideas import IdeaSnapshot, IdeaState, Origin, Readiness
from shared.i18n.dates import numeric_day
from shared.i18n.languages import content_language
from shared.i18n.money import dirhams
from shared.i18n.terms import Terms

from .criteria_text import in_words, names


class Change(BaseModel):
    """One field that differs from what the recipient was alerted of before."""

    field: str
    label: str = Field(description="What the field is called, in the reader's language.")
    before: Any
    after: Any
    before_shown: str | None = Field(
        description="The old value in words; null where there was none."
    )
    after_shown: str | None = Field(description="The new value in words; null where there is none.")


NEVER_SHOWN = frozenset(
    {
        "call_id",
        "idea_id",
        "author_id",
        "on_behalf_of",
        "opened_at",
        "published_at",
        "summary",
        "legal_statuses",
        "to_translate",
        "funder_slug",
        "partners_at_once",
    }
)
"""Fields of calls and ideas that never change, or that an announcement has under another name."""
LABELS = Terms(
    "change.field",
    sorted(
        {*Announcement.model_fields, *CallSnapshot.model_fields, *IdeaSnapshot.model_fields}
        - NOT_COMPARED
        - NEVER_SHOWN
        | {"kind"}
    ),
)
VALUES = Terms(
    "change.value",
    sorted(
        code
        for codes in (CallState, CallKind, IdeaState, Readiness, Origin)
        for code in get_args(codes)
    ),
)


def changes(before: Announcement, after: Announcement, language: str) -> list[Change]:
    """Each field that differs, with its values as they are stored and in words."""
    return [
        Change(
            field=name,
            label=_label(before, after, name, language),
            before=old,
            after=new,
            before_shown=_shown(before, name, language),
            after_shown=_shown(after, name, language),
        )
        for name, (old, new) in changes_between(before, after).items()
    ]


def _label(before: Announcement, after: Announcement, name: str, language: str) -> str:
    """The label that the announcement itself gives, else ours."""
    detail = after.detail(name) or before.detail(name)
    if detail and detail.label:
        return detail.label.in_language(content_language(language))
    return LABELS.name(language, name)


def _shown(content: Announcement, name: str, language: str) -> str | None:
    detail = content.detail(name)
    if detail is not None:
        return shown_detail(detail, language)
    value = getattr(content, name, None)
    if value is None or value == ():
        return None
    if isinstance(value, datetime):
        return value.astimezone(MOROCCO).strftime("%d/%m/%Y %H:%M")
    if isinstance(value, date):
        return numeric_day(language, value)
    if isinstance(value, PartlyLocalized | PartlyLocalizedLong | Deadline):
        return value.in_language(content_language(language))
    if name == "tracks":
        return " | ".join(in_words(track, language) for track in value)
    return VALUES.name(language, str(value))


def shown_detail(detail: Detail, language: str) -> str:
    """The value in the words that the announcement itself gives, else in ours.

    Fields that end in `_centimes` are shown in dirhams.
    """
    if detail.shown is not None:
        return detail.shown.in_language(content_language(language))
    value = detail.value
    if detail.code.endswith("_centimes") and isinstance(value, int):
        return dirhams(language, value)
    if isinstance(value, tuple):
        return names(detail.code, tuple(str(item) for item in value), language)
    return VALUES.name(language, str(value))
