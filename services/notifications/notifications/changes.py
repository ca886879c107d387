"""What is different from what was told before, in the reader's language."""

from __future__ import annotations

from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, Field

from shared.contracts.base import Localized, LocalizedLong
from shared.contracts.funding import CallKind, CallSnapshot, CallState, Deadline
from shared.contracts.ideas import IdeaSnapshot, IdeaState, Origin, Readiness
from shared.i18n import Terms, content_language, dirhams, numeric_day

from .conditions import in_words, names
from .domain import changes_between
from .domain.subjects import UNSAID, Snapshot


class Change(BaseModel):
    """One thing that is different from what was told before."""

    field: str
    label: str = Field(description="What the field is called, in the reader's language.")
    before: Any
    after: Any
    before_shown: str | None = Field(description="The old value in words; null where none was.")
    after_shown: str | None = Field(description="The new value in words; null where none is.")


IDENTITIES = frozenset({"call_id", "idea_id", "author_id"})
"""Fields that never change."""
LABELS = Terms(
    "change.field",
    sorted({*CallSnapshot.model_fields, *IdeaSnapshot.model_fields} - UNSAID - IDENTITIES),
)
VALUES = Terms(
    "change.value",
    sorted(
        code
        for codes in (CallState, CallKind, IdeaState, Readiness, Origin)
        for code in get_args(codes)
    ),
)


def changes(before: Snapshot, after: Snapshot, language: str) -> list[Change]:
    """Each field that differs, as kept and in words."""
    return [
        Change(
            field=name,
            label=LABELS.name(language, name),
            before=old,
            after=new,
            before_shown=_shown(before, name, language),
            after_shown=_shown(after, name, language),
        )
        for name, (old, new) in changes_between(before, after).items()
    ]


def _shown(content: Snapshot, name: str, language: str) -> str | None:
    value = getattr(content, name)
    if value is None or value == ():
        return None
    if isinstance(value, date):
        return numeric_day(language, value)
    if isinstance(value, Localized | LocalizedLong | Deadline):
        return value.in_language(content_language(language))
    if name == "tracks":
        return " | ".join(in_words(track, language) for track in value)
    if name == "budget_centimes":
        return dirhams(language, value)
    if isinstance(value, tuple):
        return names(name, tuple(str(item) for item in value), language)
    return VALUES.name(language, str(value))
