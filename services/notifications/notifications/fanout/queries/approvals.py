"""Reads of decisions about fan-outs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.database import AnyRow

from ..domain.fanout_approval import (
    EVERYTHING,
    ApprovalState,
    Decision,
    FanoutApproval,
    decision_in_force,
)
from ..models import fanout_approval, fanout_approval_decision, subject


async def decisions_about(
    session: AsyncSession, subject_id: UUID, *, until: datetime | None = None
) -> tuple[Decision, ...]:
    """Every decision about the subject and about everything, in their order; `until` a moment."""
    statement = select(fanout_approval_decision).where(
        fanout_approval_decision.c.subject_id.in_([subject_id, EVERYTHING])
    )
    if until is not None:
        statement = statement.where(fanout_approval_decision.c.decided_at <= until)
    rows = await session.execute(statement.order_by(fanout_approval_decision.c.seq))
    return tuple(
        Decision(
            everything=row.subject_id == EVERYTHING,
            state=row.state,
            reason=row.reason,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
        )
        for row in rows
    )


async def find_approval(session: AsyncSession, subject_id: UUID) -> FanoutApproval | None:
    """The last decision about a fan-out, or about all (`EVERYTHING`); None: there was none."""
    return await session.get(FanoutApproval, subject_id)


async def list_approvals(session: AsyncSession, *, limit: int) -> list[AnyRow]:
    """Fan-outs that are held or stopped now, the newest decision first, with the subject if it has
    arrived."""
    rows = await session.execute(
        select(fanout_approval, subject.c.kind, subject.c.content, subject.c.alerted)
        .outerjoin(subject, subject.c.subject_id == fanout_approval.c.subject_id)
        .where(fanout_approval.c.state != ApprovalState.RELEASED)
        .order_by(fanout_approval.c.decided_at.desc(), fanout_approval.c.subject_id)
        .limit(limit)
    )
    return list(rows)


async def held_back_by(session: AsyncSession, subject_id: UUID) -> Decision | None:
    """The decision that keeps the fan-out of a subject back now; None: nothing does."""
    return decision_in_force(await decisions_about(session, subject_id))
