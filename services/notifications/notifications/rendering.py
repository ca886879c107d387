"""An alert in the reader's language: what it says, and why this cooperative got it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.base import Language
from shared.contracts.criteria import Facts
from shared.contracts.funding import CallSnapshot
from shared.eligibility import Outcome, evaluate, explain

from .domain import SubjectKind, audience_tracks, changes_between
from .domain.subjects import Snapshot
from .domain.why import snapshot_of
from .queries import AlertRow


class TrackReason(BaseModel):
    """Why one track is, or may be, for this cooperative."""

    track: str | None = Field(description="Name of the track; null for an idea.")
    verdict: Literal["eligible", "unknown"]
    reasons: list[str] = Field(description="One sentence per rule, in the reader's language.")
    to_complete: list[str] = Field(description="Fields of the register that would decide it.")


class Change(BaseModel):
    """One thing that is different from what was told before."""

    field: str
    before: Any
    after: Any


class AlertOut(BaseModel):
    """One alert of an inbox."""

    number: int
    kind: str
    subject_id: UUID
    subject_kind: SubjectKind
    title: str
    summary: str
    funder: str | None
    deadline: str | None = Field(description="The wall-clock words of the deadline.")
    language: Language
    dir: Literal["rtl", "ltr"]
    verdict: Literal["eligible", "unknown"]
    why: list[TrackReason]
    changes: list[Change]
    state: Literal["unread", "read", "archived"]
    created_at: datetime


def render(alert: AlertRow, language: Language) -> AlertOut:
    """The alert with its reasons, from the content and the facts as they were when it was told."""
    row = alert.row
    content = snapshot_of(row.subject_kind, row.content)
    before = snapshot_of(row.subject_kind, row.content_before) if row.content_before else None
    call = content if isinstance(content, CallSnapshot) else None
    return AlertOut(
        number=row.seq,
        kind=row.kind,
        subject_id=row.subject_id,
        subject_kind=row.subject_kind,
        title=content.title.in_language(language),
        summary=content.summary.in_language(language),
        funder=call.funder if call else None,
        deadline=call.deadline.in_language(language) if call and call.deadline else None,
        language=language,
        dir="rtl" if language == "ar" else "ltr",
        verdict="eligible" if row.eligible_tracks else "unknown",
        why=reasons(content, alert.facts, row, language),
        changes=_changes(before, content) if before else [],
        state=row.read_state,
        created_at=row.created_at,
    )


def _changes(before: Snapshot, now: Snapshot) -> list[Change]:
    found = changes_between(before, now)
    return [Change(field=name, before=old, after=new) for name, (old, new) in found.items()]


def reasons(content: Snapshot, facts: Facts, row: Any, language: Language) -> list[TrackReason]:
    """The reasons of each track that the alert was told for."""
    told = row.eligible_tracks | row.unknown_tracks
    return [
        _reason(content, number, facts, row.reference_on, language)
        for number in range(len(audience_tracks(content)))
        if told >> number & 1
    ]


def _reason(
    content: Snapshot, number: int, facts: Facts, reference_on: Any, language: Language
) -> TrackReason:
    criteria = audience_tracks(content)[number]
    verdict = evaluate(criteria, facts, reference_on=reference_on)
    return TrackReason(
        track=content.tracks[number].name.in_language(language)
        if isinstance(content, CallSnapshot)
        else None,
        verdict="eligible" if verdict.outcome is Outcome.ELIGIBLE else "unknown",
        reasons=explain(verdict, criteria, facts, language),
        to_complete=list(verdict.unknown_fields),
    )
