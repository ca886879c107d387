"""Events wait for partners while the alerts about them are held back, and keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Select, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.fanout.domain.fanout_approval import EVERYTHING, ApprovalState
from notifications.fanout.models import fanout_approval, subject
from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS, CallEvent, IdeaEvent
from notifications.fanout.usecases.audience_check import rule_of
from shared.kernel import context
from shared.kernel.context import WorkContext, working
from shared.kernel.data.database import AnyRow

from ..domain.held_events import FanoutState, Passage, passage
from ..models import feed_waiting
from .partners import feed_partners

log = structlog.get_logger()

EVENTS: Final = {event.topic: event for event in (*CALL_EVENTS, *IDEA_EVENTS)}


async def feed_or_keep(session: AsyncSession, event: CallEvent | IdeaEvent) -> None:
    """Feed the event to partners, or keep it until the fan-out of its subject is released.

    It comes after the events of its subject that wait already.
    """
    is_behind = exists().where(feed_waiting.c.subject_id == event.aggregate_id)
    if await session.scalar(select(is_behind)):
        await _keep(session, event)
        return
    match await _passage(session, event):
        case Passage.NOW:
            await feed_partners(session, event)
        case Passage.WAITS:
            await _keep(session, event)
        case Passage.NEVER:
            log.info("event kept from partners", subject_id=str(event.aggregate_id))


async def feed_released(session: AsyncSession) -> bool:
    """Feed the events of one subject that waited and need not any more; False where there is none.

    The events of a subject that was stopped are deleted.
    """
    for subject_id in await session.scalars(_not_held()):
        if await _feed_events_of(session, subject_id):
            return True
    return False


async def delete_old_held(session: AsyncSession, *, days: int) -> None:
    """Delete the events that have waited for as long as a feed keeps its entries."""
    old = feed_waiting.c.received_at < func.now() - func.make_interval(0, 0, 0, days)
    await session.execute(delete(feed_waiting).where(old))


def _not_held() -> Select[UUID]:
    is_held = exists().where(
        fanout_approval.c.subject_id.in_([feed_waiting.c.subject_id, EVERYTHING]),
        fanout_approval.c.state == ApprovalState.HELD,
    )
    return select(feed_waiting.c.subject_id).where(~is_held).distinct()


async def _feed_events_of(session: AsyncSession, subject_id: UUID) -> bool:
    moved = False
    for row in await _lock_waiting(session, subject_id):
        event = EVENTS[row.topic].model_validate(row.event)
        decided = await _passage(session, event)
        if decided is Passage.WAITS:
            break
        if decided is Passage.NOW:
            with working(WorkContext.of(row.correlation_id, traceparent=row.traceparent)):
                await feed_partners(session, event)
        await session.execute(delete(feed_waiting).where(feed_waiting.c.event_id == row.event_id))
        moved = True
    return moved


async def _lock_waiting(session: AsyncSession, subject_id: UUID) -> Sequence[AnyRow]:
    """The waiting events of a subject in the order of versions, which one process feeds at a
    time."""
    waiting = select(feed_waiting).where(feed_waiting.c.subject_id == subject_id)
    rows = await session.execute(waiting.order_by(feed_waiting.c.version).with_for_update())
    return rows.all()


async def _passage(session: AsyncSession, event: CallEvent | IdeaEvent) -> Passage:
    content = event.idea if hasattr(event, "idea") else event.call
    return passage(
        content.version,
        await _fanout_state(session, event.aggregate_id),
        at_once=getattr(content, "partners_at_once", False),
        is_checked=rule_of(session).applies(content.confirmed_audience),
    )


async def _fanout_state(session: AsyncSession, subject_id: UUID) -> FanoutState:
    seen = select(subject.c.version, subject.c.notified_version)
    known = (await session.execute(seen.where(subject.c.subject_id == subject_id))).one_or_none()
    decisions = select(fanout_approval.c.subject_id, fanout_approval.c.state)
    concerned = fanout_approval.c.subject_id.in_([subject_id, EVERYTHING])
    found = await session.execute(decisions.where(concerned))
    states = {row.subject_id: row.state for row in found}
    return FanoutState(
        version=known.version if known else None,
        was_alerted=known is not None and known.notified_version is not None,
        is_held=ApprovalState.HELD in states.values(),
        approval=states.get(subject_id),
    )


async def _keep(session: AsyncSession, event: CallEvent | IdeaEvent) -> None:
    work = context.current()
    values = {
        "event_id": event.event_id,
        "subject_id": event.aggregate_id,
        "version": event.aggregate_version,
        "topic": event.topic,
        "event": event.model_dump(mode="json"),
        "correlation_id": work.correlation_id,
        "traceparent": work.traceparent,
    }
    await session.execute(insert(feed_waiting).values(values).on_conflict_do_nothing())
    log.info("event waits for the release of its fan-out", subject_id=str(event.aggregate_id))
