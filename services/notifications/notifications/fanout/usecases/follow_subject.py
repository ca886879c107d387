"""Fan-out: one transaction alerts every matching cooperative, and notes in each alert why.

The steps from an event to its alerts: lock → remember → decide → gate → apply. *Decide* is pure
(`domain.subjects.decide`): what the state of the subject asks for. The *gate* checks whether that
may happen now: the approvals, and the audience that was confirmed. *Apply* writes the alerts, the
corrections and the event that counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from notifications.audience.models import AUDIENCE_LOCK
from shared.contracts.announcement import Announcement
from shared.contracts.notifications import FanoutCompleted
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.messaging import outbox

from ..domain.fanout_approval import EVERYTHING, ApprovalState, FanoutApproval
from ..domain.subjects import Step, Subject, decide
from ..models import fanout_approval, subject_history
from ..models import subject as subject_table
from .alerts import Counts, insert_alerts, insert_corrections
from .audience_check import check_audience

log = structlog.get_logger()


async def follow_subject(session: AsyncSession, published: Announcement) -> None:
    """Remember what was published, then do what the subject's state asks for.

    Versions may come in any order and more than once: the alerts are those of the newest, and
    nobody is alerted twice.
    """
    await wait_for_lock(session, AUDIENCE_LOCK)
    subject = await _remember(session, published) or Subject.first_received(published)
    # One statement writes the subject, with its counts: nothing before that reads it back.
    with session.no_autoflush:
        subject.learn(published)
        await apply_subject_state(session, subject)
    session.add(subject)


async def apply_subject_state(session: AsyncSession, subject: Subject) -> None:
    """Decide, pass the gate, apply. The caller holds the audience lock exclusively."""
    history = await _history(session, subject)
    approval = history.approval.state if history.approval else None
    step = decide(subject, history.notified, approval, at=history.at)
    if not step.is_nothing and await _gate(session, subject, step, history):
        await _apply(session, subject, step, at=history.at)


@dataclass(frozen=True)
class _History:
    """What a step depends on besides its subject.

    The moment, the content that recipients were last alerted of, the approval of this fan-out, and
    the approval of all fan-outs.
    """

    at: datetime
    notified: Announcement | None
    approval: FanoutApproval | None
    everything: FanoutApproval | None


async def _history(session: AsyncSession, subject: Subject) -> _History:
    """Read all of it in one statement."""
    clock = select(func.clock_timestamp().label("at")).subquery()
    notified = (
        select(subject_history.c.content)
        .where(
            subject_history.c.subject_id == subject.subject_id,
            subject_history.c.version == subject.notified_version,
        )
        .scalar_subquery()
    )
    concerned = fanout_approval.c.subject_id.in_([subject.subject_id, EVERYTHING])
    found = await session.execute(
        select(clock.c.at, notified, FanoutApproval)
        .select_from(clock)
        .outerjoin(FanoutApproval, concerned)
    )
    rows = found.all()
    at, content, _ = rows[0]
    approvals = {each.subject_id: each for _, _, each in rows if each is not None}
    return _History(
        at=at,
        notified=Announcement.model_validate(content) if content else None,
        approval=approvals.get(subject.subject_id),
        everything=approvals.get(EVERYTHING),
    )


async def _gate(session: AsyncSession, subject: Subject, step: Step, history: _History) -> bool:
    """Whether the step may happen now: neither this fan-out nor all fan-outs are held.

    The check of the audience holds a first fan-out that would reach more than were confirmed.
    """
    approval = history.approval
    if step.first is not None and subject.notified_version is None:
        approval = await check_audience(session, subject, approval, at=history.at)
    if _is_held(approval) or _is_held(history.everything):
        log.info("subject held back", subject_id=str(subject.subject_id))
        return False
    return True


def _is_held(approval: FanoutApproval | None) -> bool:
    return approval is not None and approval.state is ApprovalState.HELD


async def _apply(session: AsyncSession, subject: Subject, step: Step, *, at: datetime) -> None:
    """Write corrections and first alerts, and the event that says how many."""
    with metrics.fanning_out(session, subject.kind) as tally:
        corrected = 0
        if step.correction is not None:
            corrected = await insert_corrections(session, subject, step.correction, at=at)
        counts = Counts()
        if step.first is not None:
            counts = await insert_alerts(session, subject, step.first, at=at)
        tally.set_counts(counts.eligible, counts.unknown, corrected)
        _complete(session, subject, counts, corrected, at=at)


async def _remember(session: AsyncSession, published: Announcement) -> Subject | None:
    """Keep this version, which alerts refer to, and find the subject, locked; None for a new
    one."""
    kept = (
        insert(subject_history)
        .values(
            subject_id=published.announcement_id,
            version=published.version,
            content=published.model_dump(mode="json"),
            reference_on=published.reference_on,
            reason=published.reason,
            received_at=func.statement_timestamp(),
        )
        .on_conflict_do_nothing()
        .cte("kept")
    )
    found = await session.scalars(
        select(Subject)
        .where(subject_table.c.subject_id == published.announcement_id)
        .with_for_update(of=subject_table)
        .add_cte(kept)
    )
    return found.one_or_none()


def _complete(
    session: AsyncSession, subject: Subject, counts: Counts, corrected: int, *, at: datetime
) -> None:
    subject.note_alerted(
        at=at, eligible=counts.eligible, unknown=counts.unknown, alerted=counts.alerted
    )
    log.info(
        "fan-out completed",
        subject_id=str(subject.subject_id),
        first_alerts=counts.alerted,
        corrections=corrected,
    )
    outbox.add(session, _completed_event(subject, counts, corrected))


def _completed_event(subject: Subject, counts: Counts, corrected: int) -> FanoutCompleted:
    return FanoutCompleted(
        aggregate_version=subject.version,
        subject_id=subject.subject_id,
        subject_kind=subject.kind,
        subject_version=subject.version,
        eligible=counts.eligible,
        unknown=counts.unknown,
        alerted=counts.alerted + corrected,
        first_alerts=counts.alerted,
        corrections=corrected,
    )
