"""Who was alerted of a subject: counts and recipients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.territory import Within
from notifications.audience.usecases import require_complete
from notifications.fanout.approval_text import ApprovalExplanation, approval_explanation
from notifications.fanout.domain.subjects import Subject, SubjectState
from notifications.fanout.queries import approvals, readers
from notifications.fanout.queries import totals as stored_totals
from notifications.labels import name_of_value
from notifications.parameters import After, Limit, provinces_read_by
from shared.contracts.base import Id, Language
from shared.i18n.languages import ReaderLanguage, content_language
from shared.kernel.auth.tokens import Role
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import Caller, Page, Session, decode_cursor, encode_cursor

from .. import queries

router = APIRouter(tags=["totals"])


class TotalOut(BaseModel):
    """First alerts in one region or sector, by verdict."""

    code: str | None = Field(description="Code of the region or sector; null where unknown.")
    label: str | None
    eligible: int
    unknown: int


class SubjectOut(BaseModel):
    """A subject and its counts: matched = eligible + unknown; `alerted` counts first alerts."""

    subject_id: UUID
    kind: str
    state: SubjectState
    version: int
    notified_version: int | None
    title: str
    title_language: Language
    matched: int
    alerted: int
    eligible: int
    unknown: int
    fanned_out_at: datetime | None


class CorrectionOut(BaseModel):
    """One correction: how many recipients of older content were alerted of this edition."""

    edition: int
    kind: str
    alerts: int


class TotalsOut(SubjectOut):
    """A subject with its counts by region, sector and verdict, and its corrections."""

    provinces: list[str] | None = Field(
        description="Only cooperatives that are in these provinces today are counted; null: all."
    )
    repeated: int = Field(description="Recipients with more than one first alert: 0.")
    by_region: list[TotalOut]
    by_sector: list[TotalOut]
    by_verdict: dict[Literal["eligible", "unknown"], int] = Field(description="First alerts.")
    corrections: list[CorrectionOut] = Field(description="Alerts after the first ones, in order.")
    corrected: int = Field(description="Alerts that corrected an earlier one, of all editions.")
    approval: ApprovalExplanation | None = Field(description="What keeps the fan-out back now.")
    not_alerted: int = Field(
        description="Kept back: how many match now, could still be alerted and have no alert."
    )


class RecipientOut(BaseModel):
    """One recipient of a first alert; `alert_number` is its number in the inbox."""

    cooperative_id: UUID
    verdict: Literal["eligible", "unknown"]
    alert_number: int


class AudienceOut(BaseModel):
    """How many cooperatives have arrived, with how many members, and when the last did."""

    cooperatives: int
    members: int
    updated_at: datetime | None


@router.get("/audience")
async def audience(session: Session, caller: Caller) -> AudienceOut:
    """How much of the register has arrived here."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    totals = await stored_totals.audience_totals(session)
    return AudienceOut.model_validate(totals._mapping)


@router.get("/subjects")
async def list_subjects(
    session: Session, caller: Caller, language: ReaderLanguage = "fr", limit: Limit = 50
) -> list[SubjectOut]:
    """Subjects, the last fanned out first, with the counts of the whole country."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    found = await stored_totals.list_subjects(session, limit=limit)
    return [_subject(each, language) for each in found]


@router.get("/subjects/{subject_id}/totals")
async def subject_totals(
    session: Session, caller: Caller, subject_id: Id, language: ReaderLanguage = "fr"
) -> TotalsOut:
    """Who was alerted: counts by verdict, region and sector, as of the moment of each alert.

    For operators, the funder of a call and the author of an idea they count all, for delegates the
    cooperatives that are in their provinces today. `approval` says what holds the alerts back.
    503 while the audience is being built anew, for counts would be too small.
    """
    within = await readers.subject_read_by(session, caller, subject_id)
    await require_complete(session)
    found = await stored_totals.get_subject(session, subject_id)
    corrections = [
        CorrectionOut.model_validate(row._mapping)
        for row in await stored_totals.corrections_of(session, subject_id, within=within)
    ]
    decision = await approvals.held_back_by(session, subject_id)
    by_region = await _totals(session, subject_id, "region", within, language)
    everywhere = _subject(found, language)
    counted = everywhere if within is None else _with_counts_of(by_region, everywhere)
    return TotalsOut(
        **counted.model_dump(),
        provinces=None if within is None else sorted(within),
        by_verdict={"eligible": counted.eligible, "unknown": counted.unknown},
        corrections=corrections,
        corrected=sum(correction.alerts for correction in corrections),
        approval=approval_explanation(decision, language, for_staff=readers.reads_reasons(caller)),
        not_alerted=await queries.count_waiting(session, found, within=within),
        repeated=await stored_totals.repeated_alerts(session, subject_id, within=within),
        by_region=by_region,
        by_sector=await _totals(session, subject_id, "sector", within, language),
    )


@router.get("/subjects/{subject_id}/recipients")
async def list_recipients(
    session: Session,
    caller: Caller,
    subject_id: Id,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=5000), PLAIN_DIGITS] = 200,
) -> Page[RecipientOut]:
    """Every recipient of a subject's first alert, in the order of cooperative ids.

    Operators see all, delegates the cooperatives that are in their provinces today.
    """
    within = provinces_read_by(caller)
    await stored_totals.get_subject(session, subject_id)
    start = decode_cursor(after, UUID)[0] if after else None
    rows = await stored_totals.recipients(
        session, subject_id, after=start, limit=limit + 1, within=within
    )
    items = [
        RecipientOut(
            cooperative_id=row.cooperative_id,
            verdict="eligible" if row.eligible_tracks else "unknown",
            alert_number=row.seq,
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return Page(items=items, next=encode_cursor(str(items[-1].cooperative_id)) if more else None)


def _subject(found: Subject, language: str) -> SubjectOut:
    content = found.announcement()
    return SubjectOut(
        subject_id=found.subject_id,
        kind=found.kind,
        state=found.state,
        version=found.version,
        notified_version=found.notified_version,
        title=content.title.in_language(content_language(language)),
        title_language=content.title.language_for(content_language(language)),
        matched=found.eligible + found.unknown,
        alerted=found.alerted,
        eligible=found.eligible,
        unknown=found.unknown,
        fanned_out_at=found.fanned_out_at,
    )


def _with_counts_of(groups: Sequence[TotalOut], subject: SubjectOut) -> SubjectOut:
    """The subject with the counts of these groups instead of everybody's."""
    eligible, unknown = (sum(getattr(g, name) for g in groups) for name in ("eligible", "unknown"))
    alerted = eligible + unknown
    counts = {"eligible": eligible, "unknown": unknown, "matched": alerted, "alerted": alerted}
    return subject.model_copy(update=counts)


async def _totals(
    session: AsyncSession,
    subject_id: Id,
    column: Literal["region", "sector"],
    within: Within,
    language: str,
) -> list[TotalOut]:
    return [
        TotalOut(
            code=code,
            label=name_of_value(column, code, language) if code else None,
            eligible=eligible,
            unknown=unknown,
        )
        for code, eligible, unknown in await stored_totals.totals_by(
            session, subject_id, column, within=within
        )
    ]
