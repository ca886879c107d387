"""Looking before telling, and keeping a fan-out back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.auth import Role
from shared.contracts.base import Text
from shared.contracts.criteria import CriteriaIn
from shared.i18n import ReaderLanguage
from shared.web import Caller, Session

from .. import queries, usecases
from ..domain import EVERYTHING, Hold, HoldState
from ..domain.why import snapshot_of
from ..holding import By
from ..usecases.clock import day_in_morocco, moment
from ..usecases.previews import GroupCount, preview_audience
from .parameters import Limit

router = APIRouter(tags=["before telling"])


class PreviewIn(BaseModel):
    """Tracks as a call has them. Ages count on `reference_on`; left out, on today in Morocco."""

    tracks: list[CriteriaIn] = Field(min_length=1, max_length=16)
    reference_on: date | None = None


class PreviewOut(BaseModel):
    """Whom the tracks would reach at this moment: matched = eligible + unknown."""

    matched: int
    eligible: int
    unknown: int
    by_region: list[GroupCount]
    by_sector: list[GroupCount]


class HoldIn(BaseModel):
    state: Literal["held", "released", "stopped"]
    reason: Text


class HoldOut(BaseModel):
    """`told` is how many cooperatives had an alert of the subject by then."""

    subject_id: UUID | None = Field(description="Null: everything.")
    state: HoldState
    reason: str
    decided_at: datetime
    told: int


class StandingHold(HoldOut):
    """What is held or stopped now. Without a title: its subject has not arrived yet."""

    title: str | None
    by: By


@router.get("/holds")
async def list_holds(session: Session, caller: Caller, limit: Limit = 50) -> list[StandingHold]:
    """What keeps telling back now, the newest decision first; `by` says whether it was a person."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    rows = await queries.list_holds(session, limit=limit)
    return [_standing(row) for row in rows]


def _standing(row: queries.AnyRow) -> StandingHold:
    content = snapshot_of(row.kind, row.content) if row.content else None
    return StandingHold(
        subject_id=None if row.subject_id == EVERYTHING else row.subject_id,
        state=row.state,
        reason=row.reason,
        decided_at=row.decided_at,
        told=row.alerted or 0,
        title=content.title.fr if content else None,
        by="notifications" if row.decided_by is None else "operator",
    )


@router.post("/previews")
async def preview(
    session: Session, caller: Caller, asked: PreviewIn, language: ReaderLanguage = "fr"
) -> PreviewOut:
    """Who would be alerted, before anything is published. It changes nothing."""
    caller.require(Role.OPERATOR, Role.DELEGATE, Role.PARTNER)
    today = day_in_morocco(await moment(session))
    seen = await preview_audience(session, asked.tracks, asked.reference_on or today, language)
    return PreviewOut(
        matched=seen.eligible + seen.unknown,
        eligible=seen.eligible,
        unknown=seen.unknown,
        by_region=seen.by_region,
        by_sector=seen.by_sector,
    )


@router.put("/subjects/{subject_id}/hold")
async def decide_hold(
    session: Session, caller: Caller, subject_id: UUID, decision: HoldIn
) -> HoldOut:
    """Hold, release or stop the telling of one subject, also before it arrives. Operators only."""
    hold = await usecases.decide_hold(
        session, caller, subject_id, HoldState(decision.state), reason=decision.reason
    )
    return await _out(session, hold)


@router.put("/hold")
async def decide_hold_of_everything(session: Session, caller: Caller, decision: HoldIn) -> HoldOut:
    """Hold or release every fan-out. Operators only."""
    hold = await usecases.decide_hold(
        session, caller, EVERYTHING, HoldState(decision.state), reason=decision.reason
    )
    return await _out(session, hold)


async def _out(session: Session, hold: Hold) -> HoldOut:
    return HoldOut(
        subject_id=None if hold.subject_id == EVERYTHING else hold.subject_id,
        state=hold.state,
        reason=hold.reason,
        decided_at=hold.decided_at,
        told=await usecases.count_told(session, hold.subject_id),
    )
