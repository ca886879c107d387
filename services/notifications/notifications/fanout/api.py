"""The audience before a fan-out, and its approval: held, released or stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from notifications.audience.usecases import require_complete
from notifications.parameters import Limit
from shared.business_days import business_day
from shared.contracts.announcement import Announcement
from shared.contracts.base import Id, Text
from shared.contracts.criteria import CriteriaIn
from shared.contracts.funding import TrackTerms
from shared.contracts.request_body import Day, LocalizedIn, RequestBody
from shared.i18n.languages import ReaderLanguage
from shared.kernel.auth.tokens import Role
from shared.kernel.data.database import AnyRow, moment
from shared.kernel.web.requests import Caller, Expected, Session

from .approval_text import DecidedBy
from .domain.fanout_approval import EVERYTHING, ApprovalState, FanoutApproval
from .queries import approvals, readers
from .usecases import fanout_approval
from .usecases.previews import ExcludingCondition, GroupCount, preview_audience

router = APIRouter(tags=["fan-out approval"])


class PreviewTrackIn(TrackTerms, RequestBody):
    """A track as a call has it, of which only the criteria count."""

    # Whoever only counts has no name for it yet, so the field is wider than that of a call.
    name: LocalizedIn | None = None  # type: ignore[assignment]
    criteria: CriteriaIn


class PreviewIn(RequestBody):
    """Tracks as a call has them. Ages count on `reference_on`; without it, on today in Morocco."""

    tracks: list[PreviewTrackIn] = Field(min_length=1, max_length=16)
    reference_on: Day | None = None


class PreviewOut(BaseModel):
    """Whom the tracks would reach at this moment: matched = eligible + unknown."""

    matched: int
    eligible: int
    unknown: int
    by_region: list[GroupCount]
    by_sector: list[GroupCount]
    excluding: list[ExcludingCondition] = Field(
        description="Where nobody would be alerted: the conditions that exclude everybody."
    )


class ApprovalIn(RequestBody):
    """A decision about a fan-out, with its reason."""

    state: Literal["held", "released", "stopped"]
    reason: Text


class ApprovalOut(BaseModel):
    """A decision, and how many cooperatives have been alerted of the subject so far.

    While nobody has decided anything, the version is 0, and state, reason and time are null.
    """

    record_id: UUID = Field(description="GET /audit/{record_id} shows who decided what and when.")
    subject_id: UUID | None = Field(description="Null: the decision concerns every fan-out.")
    version: int
    state: ApprovalState | None
    reason: str | None
    decided_at: datetime | None
    alerted: int


class StandingApproval(ApprovalOut):
    """A fan-out that is held or stopped now. Its title is null until its subject arrives."""

    title: str | None
    by: DecidedBy


@router.get("/approvals")
async def list_approvals(
    session: Session, caller: Caller, limit: Limit = 50
) -> list[StandingApproval]:
    """Every fan-out that is held or stopped now, the newest decision first."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    rows = await approvals.list_approvals(session, limit=limit)
    return [_standing(row) for row in rows]


def _standing(row: AnyRow) -> StandingApproval:
    content = Announcement.model_validate(row.content) if row.content else None
    return StandingApproval(
        record_id=row.subject_id,
        subject_id=None if row.subject_id == EVERYTHING else row.subject_id,
        version=row.version,
        state=row.state,
        reason=row.reason,
        decided_at=row.decided_at,
        alerted=row.alerted or 0,
        title=content.title.in_language("fr") if content else None,
        by="notifications" if row.decided_by is None else "operator",
    )


@router.post("/previews")
async def preview(
    session: Session, caller: Caller, wanted: PreviewIn, language: ReaderLanguage = "fr"
) -> PreviewOut:
    """Count who would be alerted, before anything is published. It changes nothing.

    503 while the audience is being built anew, for counts would be too small.
    """
    caller.require(Role.OPERATOR, Role.DELEGATE, Role.PARTNER)
    await require_complete(session)
    today = business_day(await moment(session))
    criteria = [track.criteria for track in wanted.tracks]
    counted = await preview_audience(session, criteria, wanted.reference_on or today, language)
    return PreviewOut(
        matched=counted.eligible + counted.unknown,
        eligible=counted.eligible,
        unknown=counted.unknown,
        by_region=counted.by_region,
        by_sector=counted.by_sector,
        excluding=counted.excluding,
    )


@router.get("/subjects/{subject_id}/approval")
async def read_approval(
    session: Session, caller: Caller, subject_id: Id, response: Response
) -> ApprovalOut:
    """The last decision about the fan-out of one subject; the ETag is its version.

    For operators, delegates, the funder of a call and the author of an idea; the author reads by
    whom it was decided, and no reason that an operator wrote.
    """
    await readers.subject_read_by(session, caller, subject_id)
    shown = await _read(session, subject_id, response)
    return shown if readers.reads_reasons(caller) else shown.model_copy(update={"reason": None})


@router.get("/approval")
async def read_approval_of_everything(
    session: Session, caller: Caller, response: Response
) -> ApprovalOut:
    """The last decision about every fan-out; the ETag is its version."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    return await _read(session, EVERYTHING, response)


@router.put("/subjects/{subject_id}/approval")
async def decide_approval(
    session: Session,
    caller: Caller,
    subject_id: Id,
    decision: ApprovalIn,
    response: Response,
    expected: Expected,
) -> ApprovalOut:
    """Hold, release or stop the fan-out of one subject. Operators only.

    It may be held or stopped before the subject arrives.
    """
    approval = await fanout_approval.decide_approval(
        session,
        caller,
        subject_id,
        ApprovalState(decision.state),
        reason=decision.reason,
        expected=expected,
    )
    return await _with_etag(session, subject_id, approval, response)


@router.put("/approval")
async def decide_approval_of_everything(
    session: Session, caller: Caller, decision: ApprovalIn, response: Response, expected: Expected
) -> ApprovalOut:
    """Hold or release every fan-out. Operators only."""
    approval = await fanout_approval.decide_about_everything(
        session, caller, ApprovalState(decision.state), reason=decision.reason, expected=expected
    )
    return await _with_etag(session, EVERYTHING, approval, response)


async def _read(session: Session, subject_id: UUID, response: Response) -> ApprovalOut:
    found = await approvals.find_approval(session, subject_id)
    return await _with_etag(session, subject_id, found, response)


async def _with_etag(
    session: Session, subject_id: UUID, approval: FanoutApproval | None, response: Response
) -> ApprovalOut:
    shown = ApprovalOut(
        record_id=subject_id,
        subject_id=None if subject_id == EVERYTHING else subject_id,
        version=approval.version if approval else 0,
        state=approval.state if approval else None,
        reason=approval.reason if approval else None,
        decided_at=approval.decided_at if approval else None,
        alerted=await fanout_approval.count_alerted(session, subject_id),
    )
    response.headers["ETag"] = f'"{shown.version}"'
    return shown
