"""Comparing a first fan-out with the audience that was confirmed, and holding it back by itself."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit
from shared.database import settings_of

from ..domain import ConfirmationRule, Hold, HoldState, Subject
from ..models import audience, hold_decision
from ..settings import NotificationsSettings
from .telling import tracks_of

log = structlog.get_logger()

FITS = "as many match now as may be told"


def rule_of(session: AsyncSession) -> ConfirmationRule:
    """The rule of this process's settings."""
    found = settings_of(session)
    if found is None:
        return ConfirmationRule()
    settings = NotificationsSettings.of(found)
    return ConfirmationRule(
        percent=settings.confirm_tolerance_percent,
        least=settings.confirm_tolerance_least,
        above=settings.confirm_above,
    )


async def check_confirmation(
    session: AsyncSession, subject: Subject, found: Hold | None, *, at: datetime
) -> Hold | None:
    """Hold the first fan-out back where it would tell more than was confirmed; its hold then.

    It follows from the newest content and the audience of this moment, so facts may come in any
    order and twice: a hold of its own ends again where newer content fits. What a person decided
    about the subject stands, and a release is a confirmation. The caller holds the audience lock,
    under which every hold is decided, and passes the hold that it `found`.
    """
    if found is not None and not found.is_own:
        return found
    rule = rule_of(session)
    objection = None
    if rule.is_asked(subject.confirmed_audience):
        matched = await _count_matches(session, subject)
        objection = rule.objection(subject.confirmed_audience, matched)
    if objection is not None:
        return await _hold(session, subject.subject_id, found, objection, at=at)
    if found is not None and found.state is HoldState.HELD:
        await _decide(session, found, HoldState.RELEASED, FITS, at=at)
    return found


async def _count_matches(session: AsyncSession, subject: Subject) -> int:
    tracks = tracks_of(subject)
    matching = select(func.count()).select_from(audience)
    counted = await session.scalar(matching.where(or_(*(track.possible for track in tracks))))
    return int(counted or 0)


async def _hold(
    session: AsyncSession, subject_id: UUID, found: Hold | None, reason: str, *, at: datetime
) -> Hold:
    if found is not None and found.state is HoldState.HELD:
        if found.reason != reason:
            found.reason, found.decided_at = reason, at
            await remember_decision(session, found)
        return found
    if found is None:
        found = Hold(
            subject_id=subject_id,
            state=HoldState.RELEASED,
            reason=reason,
            decided_by=None,
            decided_at=at,
        )
        session.add(found)
    await _decide(session, found, HoldState.HELD, reason, at=at)
    log.warning("fan-out held back", subject_id=str(subject_id), reason=reason)
    return found


async def _decide(
    session: AsyncSession, hold: Hold, target: HoldState, reason: str, *, at: datetime
) -> None:
    before = hold.state
    hold.decide(target, reason=reason, by=None, at=at)
    audit.record(
        session,
        None,
        action=f"fan-out {target.value}",
        subject_id=hold.subject_id,
        before={"state": before.value},
        after={"state": target.value, "reason": reason},
    )
    await remember_decision(session, hold)


async def remember_decision(session: AsyncSession, hold: Hold) -> None:
    """Add what was just decided to the history of holds."""
    await session.flush()
    await session.execute(
        insert(hold_decision).values(
            subject_id=hold.subject_id,
            state=hold.state,
            reason=hold.reason,
            decided_by=hold.decided_by,
            decided_at=hold.decided_at,
        )
    )
