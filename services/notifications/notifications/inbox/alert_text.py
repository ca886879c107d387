"""An alert in the reader's language: what it says, and why this cooperative got it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from notifications.fanout.domain.subjects import audience_tracks
from notifications.labels import how_to_complete
from shared.contracts.announcement import Announcement
from shared.contracts.base import Language, PartlyLocalized, PartlyLocalizedLong
from shared.contracts.criteria import Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.explain import explain
from shared.eligibility.verdict import Outcome
from shared.i18n.languages import Direction, ReaderLanguage, content_language
from shared.i18n.locales import direction

from .change_text import Change, changes
from .offer_text import offer_of, offer_of_track, short_text
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
    content = _with_translations(Announcement.model_validate(row.content), row)
    before = None
    if row.content_before:
        before = _with_translations(Announcement.model_validate(row.content_before), row)
    funder = content.detail("funder")
    offer = offer_of(content, _matched(content, row), language)
    written = content_language(language)
    title_language, text_language = (
        each.language_for(written) for each in (content.title, content.text)
    )
    return AlertOut(
        number=row.seq,
        kind=row.kind,
        subject_id=row.subject_id,
        subject_kind=row.subject_kind,
        title=content.title.in_language(written),
        title_language=title_language,
        title_dir=direction(title_language),
        short_text=short_text(content, offer, language),
        offer=offer,
        summary=content.text.in_language(written),
        summary_language=text_language,
        summary_dir=direction(text_language),
        funder=str(funder.value) if funder else None,
        deadline=content.deadline.in_language(written) if content.deadline else None,
        language=language,
        dir=direction(language),
        verdict=verdict_of(row),
        why=reasons(content, alert.profile, row, language),
        changes=changes(before, content, language) if before else [],
        reason=row.reason,
        state=row.read_state,
        created_at=row.created_at,
    )


def _with_translations(content: Announcement, row: Any) -> Announcement:
    """Content that an alert is about, with what was translated of it since."""
    title = PartlyLocalized.model_validate(row.newest_title)
    text = PartlyLocalizedLong.model_validate(row.newest_text)
    return content.model_copy(
        update={
            "title": content.title.completed_by(title),
            "text": content.text.completed_by(text),
        }
    )


def verdict_of(row: Any) -> Outcome:
    """The verdict of the best track, by the masks of an alert."""
    if row.eligible_tracks:
        return Outcome.ELIGIBLE
    return Outcome.UNKNOWN if row.unknown_tracks else Outcome.INELIGIBLE


def reasons(content: Announcement, profile: Profile, row: Any, language: str) -> list[TrackReason]:
    """The reasons of each track that is, or may be, for the recipient; of all, where none is.

    `row` has the masks of the alert and the day on which ages count.
    """
    shown = _matched(content, row) or range(len(content.tracks))
    return [_reason(content, number, profile, row.reference_on, language) for number in shown]


def _matched(content: Announcement, row: Any) -> list[int]:
    """The numbers of the tracks that are, or may be, for the recipient."""
    matched = row.eligible_tracks | row.unknown_tracks
    return [number for number in range(len(content.tracks)) if matched >> number & 1]


def _reason(
    content: Announcement, number: int, profile: Profile, reference_on: Any, language: str
) -> TrackReason:
    criteria, name = audience_tracks(content)[number], content.tracks[number].name
    verdict = evaluate(criteria, profile, reference_on=reference_on)
    return TrackReason(
        track=name.in_language(content_language(language)) if name else None,
        verdict=verdict.outcome,
        offer=offer_of_track(content, number, language),
        reasons=explain(verdict.decisive, criteria, profile, language),
        to_complete=list(verdict.unknown_fields),
        how_to_complete=how_to_complete(verdict.unknown_fields, language),
    )
