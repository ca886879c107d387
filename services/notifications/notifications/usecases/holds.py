"""Holding a fan-out back, releasing it, stopping it; and what was told by then."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit
from shared.auth import Principal, Role

from ..domain import EVERYTHING, Hold, HoldState, IllegalHoldMove, StopsOneOnly, Subject
from ..domain.subjects import FIRST
from ..models import alert
from ..models import hold as hold_table
from ..models import subject as subject_table
from .clock import moment
from .confirmations import remember_decision
from .fanout import act, lock_audience
from .telling import still_open, tell_those_missing


async def decide_hold(
    session: AsyncSession,
    caller: Principal,
    subject_id: UUID,
    target: HoldState,
    *,
    reason: str,
) -> Hold:
    """Hold, release or stop. Operators only.

    It takes the lock of fan-outs: one that runs is waited for, and none begins beside it. A release
    tells, in the same transaction, whatever the newest content asks for.
    """
    caller.require(Role.OPERATOR)
    await lock_audience(session, shared=False)
    now = await moment(session)
    found = await session.get(Hold, subject_id, with_for_update=True)
    before = {"state": found.state.value} if found else None
    if found is None:
        found = _first(subject_id, target, reason=reason, by=caller.subject, at=now)
        session.add(found)
    else:
        found.decide(target, reason=reason, by=caller.subject, at=now)
    audit.record(
        session,
        caller,
        action=f"fan-out {target.value}",
        subject_id=subject_id,
        before=before,
        after={"state": target.value, "reason": reason},
    )
    await remember_decision(session, found)
    if target is HoldState.RELEASED:
        await _catch_up(session, subject_id)
    return found


def _first(subject_id: UUID, target: HoldState, *, reason: str, by: UUID, at: datetime) -> Hold:
    """A hold may come before its subject does; a release of nothing is refused."""
    if target is HoldState.RELEASED:
        raise IllegalHoldMove("nothing is held")
    if target is HoldState.STOPPED and subject_id == EVERYTHING:
        raise StopsOneOnly
    return Hold(subject_id=subject_id, state=target, reason=reason, decided_by=by, decided_at=at)


async def _catch_up(session: AsyncSession, subject_id: UUID) -> None:
    """Tell what was kept back, each subject as it is now.

    That includes cooperatives that came to match a subject told before, while it was held.
    """
    table = subject_table.c
    told_newest = table.told_version == table.version
    waiting = select(Subject).where(
        or_(table.told_version.is_(None), ~told_newest, and_(told_newest, still_open()))
    )
    if subject_id != EVERYTHING:
        waiting = waiting.where(table.subject_id == subject_id)
    for subject in (await session.scalars(waiting.order_by(table.subject_id))).all():
        if subject.told_version == subject.version:
            await tell_those_missing(session, subject)
        else:
            await act(session, subject)
        await session.flush()


async def get_hold(session: AsyncSession, subject_id: UUID) -> Hold | None:
    """What was decided about a subject, or about everything."""
    rows = await session.scalars(select(Hold).where(hold_table.c.subject_id == subject_id))
    return rows.one_or_none()


async def count_told(session: AsyncSession, subject_id: UUID) -> int:
    """How many cooperatives have an alert of this subject; of any, when it is everything."""
    told = select(func.count()).select_from(alert).where(alert.c.edition == FIRST)
    if subject_id != EVERYTHING:
        told = told.where(alert.c.subject_id == subject_id)
    return int(await session.scalar(told) or 0)
