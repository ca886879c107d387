"""Compare a first fan-out with the audience that was confirmed, and hold it where it is larger."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience
from notifications.settings import NotificationsSettings
from shared.kernel.data import audit
from shared.kernel.data.database import settings_of

from ..domain.audience_check import AudienceCheckRule
from ..domain.fanout_approval import ApprovalState, FanoutApproval
from ..domain.subjects import Subject
from ..models import fanout_approval_decision
from .matching import addressees_of, tracks_of

log = structlog.get_logger()

FITS = "as many match now as may be alerted"
"""The reason of a release that notifications decides by itself."""


def rule_of(session: AsyncSession) -> AudienceCheckRule:
    """The rule by the settings that the session carries; the default rule where it carries none."""
    found = settings_of(session)
    if found is None:
        return AudienceCheckRule()
    settings = NotificationsSettings.of(found)
    return AudienceCheckRule(
        percent=settings.confirm_tolerance_percent,
        least=settings.confirm_tolerance_least,
        above=settings.confirm_above,
    )


async def check_audience(
    session: AsyncSession, subject: Subject, found: FanoutApproval | None, *, at: datetime
) -> FanoutApproval | None:
    """Hold the first fan-out where it would reach more than were confirmed; return its approval.

    The decision follows from the newest content and the present audience alone, so events may come
    in any order and twice: what notifications held by itself, it releases where newer content fits.
    What a person decided stands, and a person's release confirms the audience. The caller holds the
    audience lock, under which every approval is decided, and passes the approval that it `found`.
    """
    if found is not None and not found.is_automatic:
        return found
    rule = rule_of(session)
    objection = None
    if rule.applies(subject.confirmed_audience):
        matched = await _count_matches(session, subject)
        objection = rule.objection(subject.confirmed_audience, matched)
    if objection is not None:
        return await _hold_back(session, subject.subject_id, found, objection, at=at)
    if found is not None and found.state is ApprovalState.HELD:
        await _decide(session, found, ApprovalState.RELEASED, FITS, at=at)
    return found


async def _count_matches(session: AsyncSession, subject: Subject) -> int:
    tracks = tracks_of(subject)
    matching = select(func.count()).select_from(audience)
    possible = or_(*(track.possible for track in tracks))
    counted = await session.scalar(matching.where(possible, *addressees_of(subject)))
    return int(counted or 0)


async def _hold_back(
    session: AsyncSession,
    subject_id: UUID,
    found: FanoutApproval | None,
    reason: str,
    *,
    at: datetime,
) -> FanoutApproval:
    if found is not None and found.state is ApprovalState.HELD:
        if found.reason != reason:
            found.give_reason(reason, at=at)
            await record_decision(session, found)
        return found
    if found is None:
        found = FanoutApproval(
            subject_id=subject_id,
            state=ApprovalState.RELEASED,
            reason=reason,
            decided_by=None,
            decided_at=at,
            version=0,
        )
        session.add(found)
    await _decide(session, found, ApprovalState.HELD, reason, at=at)
    log.warning("fan-out held back", subject_id=str(subject_id), reason=reason)
    return found


async def _decide(
    session: AsyncSession,
    approval: FanoutApproval,
    target: ApprovalState,
    reason: str,
    *,
    at: datetime,
) -> None:
    before = approval.state
    approval.decide(target, reason=reason, by=None, at=at)
    audit.record(
        session,
        None,
        action=f"fan-out {target.value}",
        subject_id=approval.subject_id,
        before={"state": before.value},
        after={"state": target.value, "reason": reason},
    )
    await record_decision(session, approval)


async def record_decision(session: AsyncSession, approval: FanoutApproval) -> None:
    """Add the present state of an approval to the history of decisions."""
    await session.flush()
    await session.execute(
        insert(fanout_approval_decision).values(
            subject_id=approval.subject_id,
            state=approval.state,
            reason=approval.reason,
            decided_by=approval.decided_by,
            decided_at=approval.decided_at,
        )
    )
