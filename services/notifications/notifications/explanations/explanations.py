"""Why a cooperative was alerted of a subject, or was not, in the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from notifications.fanout.approval_text import (
    ApprovalExplanation,
    DecisionOut,
    approval_explanation,
    decision_out,
    ground_of,
)
from notifications.fanout.domain.subjects import audience_tracks
from notifications.inbox.offer_text import offer_of_track
from notifications.labels import how_to_complete, name_of_field, name_of_value
from shared.contracts.base import Language
from shared.contracts.criteria import Criteria, Profile
from shared.eligibility.explain import explain
from shared.eligibility.verdict import Outcome, Rule, Verdict
from shared.i18n.languages import Direction, ReaderLanguage, content_language
from shared.i18n.locales import direction
from shared.i18n.terms import Terms
from shared.kernel.data.database import AnyRow

from .domain import Because, ContentVersion, ProfileVersion, Situation, best_of
from .queries import Evidence


class AlertOut(BaseModel):
    """One alert that the cooperative has."""

    number: int
    edition: int = Field(description="0 for the first alert; else the version that it is about.")
    kind: str
    subject_version: int
    alerted_at: datetime


class TrackExplanation(BaseModel):
    """The verdict of one track for this cooperative, with its reasons."""

    track: str | None = Field(description="Name of the track; null where it has none.")
    verdict: Outcome
    offer: str | None = Field(
        description="Kind of support, cap, rate and own share of this track, in a line."
    )
    rules: list[Rule] = Field(description="The rules that the reasons are about.")
    reasons: list[str] = Field(
        description="One sentence per rule; for a track that is not for it, of the excluding rules."
    )
    to_complete: list[str] = Field(
        description="Fields of the register whose values would decide it."
    )
    how_to_complete: str | None = Field(description="Whom to ask to fill them in, in a sentence.")


class ProfileFieldOut(BaseModel):
    """One field that a rule was evaluated on."""

    field: str
    name: str
    value: str | int | date | None = Field(description="As the register has it; null: unknown.")
    label: str | None


class WhyOut(BaseModel):
    """Whether this cooperative was alerted, and on what ground, as of one moment."""

    subject_id: UUID
    cooperative_id: UUID
    subject_kind: str
    title: str
    title_language: Language
    language: ReaderLanguage
    dir: Direction
    alerted: bool
    because: Because
    summary: str = Field(description="The ground in one sentence.")
    verdict: Outcome | None = Field(description="The best of its tracks.")
    alerts: list[AlertOut]
    approval: ApprovalExplanation | None = Field(
        description="What keeps the fan-out back, at `as_of`."
    )
    decisions: list[DecisionOut] = Field(
        description="Every decision about the fan-out up to `as_of`."
    )
    tracks: list[TrackExplanation]
    profile: list[ProfileFieldOut]
    subject_state: str | None = Field(description="State of the subject at `content_version`.")
    content_version: int | None
    profile_version: int | None
    as_of: datetime


SUMMARIES = Terms(
    "explanation.because",
    (because for because in Because if because is not Because.SUBJECT_NOT_OPEN),
    parameters=("approval",),
)
ENDED = Terms("explanation.ended", ("open", "closed", "cancelled", "withdrawn"))
"""By the state of a call or an idea; of `open`, that its deadline has passed."""
ENDED_OTHERWISE = Terms("explanation.ended_otherwise", ("open", "closed", "cancelled", "withdrawn"))
"""The same, for kinds that have no words of their own."""
WITH_OWN_WORDS = frozenset({"call", "idea"})


def explanation_of(evidence: Evidence, language: str, *, for_staff: bool) -> WhyOut:
    """The explanation in sentences, with the fields and the versions that it is based on.

    `for_staff`: an operator or a delegate reads it, and so reads the reasons that operators wrote.
    """
    situation, content = evidence.situation, evidence.situation.content
    because, verdicts = situation.because(), situation.verdicts()
    newest = evidence.subject.announcement()
    written = content_language(language)
    known = content.announcement.title if content else newest.title
    title = known.completed_by(newest.title)
    return WhyOut(
        subject_id=evidence.subject.subject_id,
        cooperative_id=evidence.cooperative_id,
        subject_kind=evidence.subject.kind,
        title=title.in_language(written),
        title_language=title.language_for(written),
        language=language,
        dir=direction(language),
        alerted=situation.was_alerted,
        because=because,
        summary=_summary(because, situation, language, for_staff=for_staff),
        verdict=best_of(verdicts),
        alerts=[_alert_out(row) for row in evidence.alerts],
        approval=approval_explanation(situation.held_back_by(), language, for_staff=for_staff),
        decisions=[
            decision_out(each, language, for_staff=for_staff) for each in situation.decisions
        ],
        tracks=_tracks(content, situation.profile, verdicts, language),
        profile=_profile(situation.profile, verdicts, language),
        subject_state=content.announcement.state if content else None,
        content_version=content.version if content else None,
        profile_version=situation.profile.version if situation.profile else None,
        as_of=situation.at,
    )


def _summary(because: Because, situation: Situation, language: str, *, for_staff: bool) -> str:
    if because is Because.SUBJECT_NOT_OPEN and situation.content:
        ended = situation.content.announcement
        words = ENDED if ended.kind in WITH_OWN_WORDS else ENDED_OTHERWISE
        return words.text(language, ended.state)
    decision = situation.held_back_by()
    ground = ground_of(decision, language, for_staff=for_staff) if decision else ""
    return SUMMARIES.text(language, because, approval=ground)


def _alert_out(row: AnyRow) -> AlertOut:
    return AlertOut(
        number=row.seq,
        edition=row.edition,
        kind=row.kind,
        subject_version=row.subject_version,
        alerted_at=row.created_at,
    )


def _tracks(
    content: ContentVersion | None,
    known: ProfileVersion | None,
    verdicts: tuple[Verdict, ...],
    language: str,
) -> list[TrackExplanation]:
    if content is None or known is None:
        return []
    published, written = content.announcement, content_language(language)
    names = [each.name.in_language(written) if each.name else None for each in published.tracks]
    offers = [offer_of_track(published, number, language) for number in range(len(names))]
    judged = zip(names, offers, audience_tracks(published), verdicts, strict=True)
    return [
        _track(name, offer, criteria, verdict, known.profile, language)
        for name, offer, criteria, verdict in judged
    ]


def _track(
    name: str | None,
    offer: str | None,
    criteria: Criteria,
    verdict: Verdict,
    profile: Profile,
    language: str,
) -> TrackExplanation:
    decisive = verdict.decisive
    return TrackExplanation(
        track=name,
        verdict=verdict.outcome,
        offer=offer,
        rules=[result.rule for result in decisive.rules],
        reasons=explain(decisive, criteria, profile, language),
        to_complete=list(verdict.unknown_fields),
        how_to_complete=how_to_complete(verdict.unknown_fields, language),
    )


def _profile(
    known: ProfileVersion | None, verdicts: tuple[Verdict, ...], language: str
) -> list[ProfileFieldOut]:
    """The fields that some rule of some track was evaluated on, in the order of `Profile`."""
    if known is None:
        return []
    used = {field for verdict in verdicts for rule in verdict.rules for field in rule.fields}
    return [
        _profile_field(field, getattr(known.profile, field), language)
        for field in Profile.model_fields
        if field in used
    ]


def _profile_field(field: str, value: str | int | date | None, language: str) -> ProfileFieldOut:
    return ProfileFieldOut(
        field=field,
        name=name_of_field(field, language),
        value=value,
        label=None if value is None else name_of_value(field, value, language),
    )
