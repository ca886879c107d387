"""An operator's decisions about fan-outs, and what a release sets going."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import AUDIENCE_LOCK, CHANGE_CHANNEL
from shared.errors import IllegalMove
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.data.database import moment
from shared.sentences import Sentence

from ..domain.fanout_approval import (
    EVERYTHING,
    ApprovalState,
    FanoutApproval,
    MeansEverything,
    StopsOneOnly,
    expect_version,
)
from ..domain.subjects import FIRST, Subject, SubjectState
from ..models import alert
from ..models import subject as subject_table
from .audience_check import record_decision
from .backfill import backfill_subject
from .follow_subject import apply_subject_state
from .subject_conditions import is_held_back, still_open


async def decide_approval(
    session: AsyncSession,
    caller: Principal,
    subject_id: UUID,
    target: ApprovalState,
    *,
    reason: str,
    expected: int | None = None,
) -> FanoutApproval:
    """Hold, release or stop the fan-out of one subject. Operators only.

    It takes the lock of fan-outs: it waits for one that is running, and none begins meanwhile. The
    release applies, in the same transaction, whatever the newest content of the subject asks for. A
    move that the table `MOVES` lacks, and the release of what was never held, raise `IllegalMove`;
    the id of everything raises `MeansEverything`; where another decision than the `expected`
    version is in force, `ChangedMeanwhile`.
    """
    if subject_id == EVERYTHING:
        raise MeansEverything(field="subject_id")
    found = await _decide(session, caller, subject_id, target, reason=reason, expected=expected)
    if target is ApprovalState.RELEASED:
        await fan_out_waiting(session, subject_id)
    return found


async def decide_about_everything(
    session: AsyncSession,
    caller: Principal,
    target: ApprovalState,
    *,
    reason: str,
    expected: int | None = None,
) -> FanoutApproval:
    """Hold or release every fan-out. Operators only.

    After the release a job applies what was kept back, for one subject after the other
    (`fan_out_waiting`). Raises `IllegalMove` as `decide_approval` does; a stop raises
    `StopsOneOnly`.
    """
    found = await _decide(session, caller, EVERYTHING, target, reason=reason, expected=expected)
    if target is ApprovalState.RELEASED:
        await session.execute(select(func.pg_notify(CHANGE_CHANNEL, "")))
    return found


async def _decide(
    session: AsyncSession,
    caller: Principal,
    subject_id: UUID,
    target: ApprovalState,
    *,
    reason: str,
    expected: int | None,
) -> FanoutApproval:
    caller.require(Role.OPERATOR)
    await wait_for_lock(session, AUDIENCE_LOCK)
    now = await moment(session)
    found = await session.get(FanoutApproval, subject_id, with_for_update=True)
    expect_version(found, expected)
    before = {"state": found.state.value} if found else None
    if found is None:
        found = _first_decision(subject_id, target, reason=reason, by=caller.subject, at=now)
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
    await record_decision(session, found)
    return found


def _first_decision(
    subject_id: UUID, target: ApprovalState, *, reason: str, by: UUID, at: datetime
) -> FanoutApproval:
    """A fan-out may be held or stopped before its subject arrives; a release of nothing is
    refused."""
    if target is ApprovalState.RELEASED:
        raise IllegalMove(Sentence("nothing is held"))
    if target is ApprovalState.STOPPED and subject_id == EVERYTHING:
        raise StopsOneOnly
    return FanoutApproval(
        subject_id=subject_id, state=target, reason=reason, decided_by=by, decided_at=at
    )


async def fan_out_waiting(session: AsyncSession, subject_id: UUID | None = None) -> bool:
    """Fan out one subject that waits though nothing holds it back; False where there is none.

    After a release of everything many may wait: the caller repeats this, in a transaction for each
    subject, until there is none. `subject_id` narrows it to one subject.
    """
    waiting = select(Subject).where(_waits()).order_by(subject_table.c.subject_id).limit(1)
    if subject_id is not None:
        waiting = waiting.where(subject_table.c.subject_id == subject_id)
    if (await session.scalars(waiting)).first() is None:
        return False
    await wait_for_lock(session, AUDIENCE_LOCK)
    again = waiting.add_columns(is_held_back()).execution_options(populate_existing=True)
    found = (await session.execute(again)).first()
    if found is None:
        return False
    subject, is_kept_back = found
    await apply_subject_state(session, subject)
    if subject.missed_matches and not is_kept_back:
        if subject.may_be_alerted(await moment(session)):
            await backfill_subject(session, subject)
        subject.missed_matches = False
    await session.flush()
    return True


def _waits() -> ColumnElement[bool]:
    """The subject has no alerts yet, alerts of older content, or matches missed while it was held,
    and nothing holds it back. A stop keeps back first alerts, but no correction.
    """
    table = subject_table.c
    is_new = and_(table.notified_version.is_(None), still_open(), ~is_held_back())
    is_old = and_(
        table.notified_version < table.version,
        table.state != SubjectState.OVER,
        ~is_held_back(ApprovalState.HELD),
    )
    is_missed = and_(table.missed_matches, still_open(), ~is_held_back())
    return or_(is_new, is_old, is_missed)


async def count_alerted(session: AsyncSession, subject_id: UUID) -> int:
    """How many cooperatives have an alert of this subject; of `EVERYTHING`, how many first alerts
    there are."""
    if subject_id == EVERYTHING:
        alerted = select(func.sum(subject_table.c.alerted))
    else:
        alerted = select(func.count()).where(
            alert.c.subject_id == subject_id, alert.c.edition == FIRST
        )
    return int(await session.scalar(alerted) or 0)
