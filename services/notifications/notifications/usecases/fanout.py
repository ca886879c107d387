"""Fan-out: one transaction tells every matching cooperative, and says why in each alert.

A fan-out holds the audience lock alone. Whoever tells late matches shares it with others, and asks
for it when the change is committed: a fan-out that has missed the change is then waited for, and
its subject is seen. Upserts of the audience share it too, for the sake of moments: these are those
of statements, which come after the lock; the start of a transaction that waited would put it before
the other. Holds are decided under it as well, so under it nothing that a step depends on moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.notifications import FanoutCompleted
from shared.messaging import outbox

from .. import metrics
from ..domain import EVERYTHING, Hold, HoldState, News, Subject
from ..domain.subjects import CallEvent, IdeaEvent, Snapshot, news_of
from ..models import hold, subject_history
from ..models import subject as subject_table
from .confirmations import check_confirmation
from .telling import Counts, correct, tell

log = structlog.get_logger()

AUDIENCE_LOCK = 0x6175_6469  # "audi" in ASCII


async def lock_audience(session: AsyncSession, *, shared: bool) -> None:
    """Until the end of the transaction: alone for a fan-out, together for the rest."""
    function = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    await session.execute(select(function(AUDIENCE_LOCK)))


async def follow_subject(session: AsyncSession, event: CallEvent | IdeaEvent) -> None:
    """Learn what a fact says of its subject, then do what the subject's state asks for.

    The facts of a subject may come in any order and more than once: the alerts are those of the
    newest content, and nobody is told twice.
    """
    news = news_of(event)
    await lock_audience(session, shared=False)
    subject = await _remember(session, news) or Subject.first_heard(news)
    # Written once, with what it came to: nothing here reads it back.
    with session.no_autoflush:
        subject.learn(news)
        await act(session, subject)
    session.add(subject)


async def act(session: AsyncSession, subject: Subject) -> None:
    """Do what the subject's state asks for, unless it is held back. Under the audience lock."""
    standing = await _standing(session, subject)
    at, own = standing.at, standing.own
    step = subject.next_step(standing.told, at=at)
    if step.first is not None and subject.told_version is None:
        own = await check_confirmation(session, subject, own, at=at)
    if _is(own, HoldState.STOPPED):
        step = replace(step, first=None)
    if step.is_nothing:
        return
    if _is(own, HoldState.HELD) or _is(standing.everything, HoldState.HELD):
        log.info("subject held back", subject_id=str(subject.subject_id))
        return
    with metrics.fanning_out(session, subject.kind.value) as tally:
        corrected = 0
        if step.correction is not None:
            corrected = await correct(session, subject, step.correction, at=at)
        counts = Counts()
        if step.first is not None:
            counts = await tell(session, subject, step.first, at=at)
        tally.is_done(counts.eligible, counts.unknown, corrected)
        _say_told(session, subject, counts, corrected, at=at)


@dataclass(frozen=True)
class _Standing:
    """What a step depends on besides its subject: the moment, what was told last, the holds."""

    at: datetime
    told: Snapshot | None
    own: Hold | None
    everything: Hold | None


async def _standing(session: AsyncSession, subject: Subject) -> _Standing:
    """All of it in one statement."""
    clock = select(func.clock_timestamp().label("at")).subquery()
    told = (
        select(subject_history.c.content)
        .where(
            subject_history.c.subject_id == subject.subject_id,
            subject_history.c.version == subject.told_version,
        )
        .scalar_subquery()
    )
    concerned = hold.c.subject_id.in_([subject.subject_id, EVERYTHING])
    found = await session.execute(
        select(clock.c.at, told, Hold).select_from(clock).outerjoin(Hold, concerned)
    )
    rows = found.all()
    at, content, _ = rows[0]
    holds = {each.subject_id: each for _, _, each in rows if each is not None}
    return _Standing(
        at=at,
        told=type(subject.snapshot()).model_validate(content) if content else None,
        own=holds.get(subject.subject_id),
        everything=holds.get(EVERYTHING),
    )


def _is(found: Hold | None, state: HoldState) -> bool:
    return found is not None and found.state is state


async def _remember(session: AsyncSession, news: News) -> Subject | None:
    """Keep this version, for alerts point at the one they told; and find the subject, locked."""
    kept = (
        insert(subject_history)
        .values(
            subject_id=news.subject_id,
            version=news.version,
            content=news.content.model_dump(mode="json"),
            reference_on=news.reference_on,
            reason=news.reason,
            heard_at=func.statement_timestamp(),
        )
        .on_conflict_do_nothing()
        .cte("kept")
    )
    found = await session.scalars(
        select(Subject)
        .where(subject_table.c.subject_id == news.subject_id)
        .with_for_update(of=subject_table)
        .add_cte(kept)
    )
    return found.one_or_none()


def _say_told(
    session: AsyncSession, subject: Subject, counts: Counts, corrected: int, *, at: datetime
) -> None:
    subject.note_told(
        at=at, eligible=counts.eligible, unknown=counts.unknown, alerted=counts.alerted
    )
    log.info("subject told", subject_id=str(subject.subject_id), new=counts.alerted, old=corrected)
    outbox.add(session, _completed(subject, counts, corrected))


def _completed(subject: Subject, counts: Counts, corrected: int) -> FanoutCompleted:
    return FanoutCompleted(
        aggregate_version=subject.version,
        subject_id=subject.subject_id,
        subject_kind=subject.kind.value,
        subject_version=subject.version,
        eligible=counts.eligible,
        unknown=counts.unknown,
        alerted=counts.alerted + corrected,
        first_alerts=counts.alerted,
        corrections=corrected,
    )
