"""An alert in the reader's language: what it says, and why this cooperative got it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from notifications.fanout.domain.contents import Content, read_translated
from notifications.labels import how_to_complete
from shared.contracts.base import Language
from shared.contracts.criteria import Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.explain import explain
from shared.eligibility.verdict import Outcome
from shared.i18n.languages import Direction, ReaderLanguage
from shared.i18n.locales import direction

from .change_text import Change
from .content_text import changes_to, offer_words_of, words_of
from .queries import AlertRow


class TrackReason(BaseModel):
    """Why one track is, may be, or is not for this cooperative."""

    track: str | None = Field(description="Name of the track; null where it has none.")
    verdict: Outcome
    offer: str | None = Field(
        description="Kind of support, cap, rate and own share of this track, in a line."
    )
    reasons: list[str] = Field(description="One sentence per rule, in the reader's language.")
    to_complete: list[str] = Field(
        description="Fields of the register whose values would decide it."
    )
    how_to_complete: str | None = Field(description="Whom to ask to fill them in, in a sentence.")


class AlertOut(BaseModel):
    """One alert of an inbox."""

    number: int
    kind: str
    subject_id: UUID
    subject_kind: str
    title: str
    title_language: Language = Field(
        description="Of the title: another than the reader's where it is not translated."
    )
    title_dir: Direction
    short_text: str = Field(
        description="The alert in one line: title, what it gives the reader, deadline."
    )
    summary: str
    summary_language: Language = Field(
        description="Of the summary: another than the reader's where it is not translated."
    )
    summary_dir: Direction
    offer: str | None = Field(
        description="Kind of support, cap, rate and own share of the tracks that are, or may be,"
        " for the reader; null where there are none."
    )
    funder: str | None
    deadline: str | None = Field(description="The deadline as its publisher words it.")
    language: ReaderLanguage
    dir: Direction
    verdict: Outcome = Field(
        description="Of the best track; `ineligible` where a correction leaves none for the reader."
    )
    why: list[TrackReason] = Field(
        description="Tracks that are, or may be, for the reader; if none, all and what excludes it."
    )
    changes: list[Change]
    reason: str | None = Field(description="Why the subject changed, as its publisher wrote.")
    state: Literal["unread", "read", "archived"]
    created_at: datetime


def render(alert: AlertRow, language: str) -> AlertOut:
    """The alert with its reasons, from the content and the profile that it is about."""
    row = alert.row
    content = read_translated(row.content, row.newest_title, row.newest_text)
    before = None
    if row.content_before:
        before = read_translated(row.content_before, row.newest_title, row.newest_text)
    words = words_of(content, language)
    gives = offer_words_of(content, _matched(content, row), language)
    return AlertOut(
        number=row.seq,
        kind=row.kind,
        subject_id=row.subject_id,
        subject_kind=row.subject_kind,
        title=words.title,
        title_language=words.title_language,
        title_dir=direction(words.title_language),
        short_text=gives.short_text,
        offer=gives.offer,
        summary=words.summary,
        summary_language=words.summary_language,
        summary_dir=direction(words.summary_language),
        funder=words.funder,
        deadline=words.deadline,
        language=language,
        dir=direction(language),
        verdict=verdict_of(row),
        why=reasons(content, alert.profile, row, language),
        changes=list(changes_to(before, content, language)) if before else [],
        reason=row.reason,
        state=row.read_state,
        created_at=row.created_at,
    )


def verdict_of(row: Any) -> Outcome:
    """The verdict of the best track, by the masks of an alert."""
    if row.eligible_tracks:
        return Outcome.ELIGIBLE
    return Outcome.UNKNOWN if row.unknown_tracks else Outcome.INELIGIBLE


def reasons(content: Content, profile: Profile, row: Any, language: str) -> list[TrackReason]:
    """The reasons of each track that is, or may be, for the recipient; of all, where none is.

    `row` has the masks of the alert and the day on which ages count.
    """
    shown = _matched(content, row) or range(len(content.criteria))
    return [_reason(content, number, profile, row.reference_on, language) for number in shown]


def _matched(content: Content, row: Any) -> tuple[int, ...]:
    """The numbers of the tracks that are, or may be, for the recipient."""
    matched = row.eligible_tracks | row.unknown_tracks
    return tuple(number for number in range(len(content.criteria)) if matched >> number & 1)


def _reason(
    content: Content, number: int, profile: Profile, reference_on: Any, language: str
) -> TrackReason:
    criteria, words = content.criteria[number], words_of(content, language).tracks[number]
    verdict = evaluate(criteria, profile, reference_on=reference_on)
    return TrackReason(
        track=words.name,
        verdict=verdict.outcome,
        offer=words.offer,
        reasons=explain(verdict.decisive, criteria, profile, language),
        to_complete=list(verdict.unknown_fields),
        how_to_complete=how_to_complete(verdict.unknown_fields, language),
    )
