"""Fan-out: one transaction tells every matching cooperative, and says why in each alert.

A fan-out holds the audience lock alone. Whoever tells late matches shares it with others, and asks
for it when the change is committed: a fan-out that has missed the change is then waited for, and
its subject is seen. Upserts of the audience share it too, for the sake of moments: these are those
of statements, which come after the lock; the start of a transaction that waited would put it before
the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.notifications import FanoutCompleted
from shared.eligibility.sql import TrackSql, compile_track
from shared.messaging import outbox

from .. import metrics
from ..domain import (
    EVERYTHING,
    AlertKind,
    HoldState,
    News,
    Subject,
    SubjectState,
    audience_tracks,
)
from ..domain.subjects import FIRST, CallEvent, IdeaEvent, Snapshot, news_of
from ..models import alert, audience, hold, subject_history
from ..models import subject as subject_table
from .clock import moment
from .confirmations import check_confirmation

log = structlog.get_logger()

AUDIENCE_LOCK = 0x6175_6469  # "audi" in ASCII


@dataclass(frozen=True)
class Counts:
    """How many alerts a statement wrote, by verdict."""

    eligible: int = 0
    unknown: int = 0

    @property
    def alerted(self) -> int:
        return self.eligible + self.unknown


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
    await _remember(session, news)
    subject = await session.get(Subject, news.subject_id, with_for_update=True)
    if subject is None:
        subject = Subject.first_heard(news)
        session.add(subject)
    subject.learn(news)
    await act(session, subject)


async def act(session: AsyncSession, subject: Subject) -> None:
    """Do what the subject's state asks for, unless it is held back."""
    told = await _content_told(session, subject)
    step = subject.next_step(told, at=await moment(session))
    if step.is_nothing:
        return
    if step.first is not None and subject.told_version is None:
        await check_confirmation(session, subject)
    if await is_held(session, subject.subject_id):
        log.info("subject held back", subject_id=str(subject.subject_id))
        return
    with metrics.fanning_out(session, subject.kind.value) as tally:
        corrected = 0
        if step.correction is not None:
            corrected = await correct(session, subject, step.correction)
        counts = Counts()
        if step.first is not None:
            counts = await tell(session, subject, step.first)
        tally.is_done(counts.eligible, counts.unknown, corrected)
        _say_told(session, subject, counts, corrected, at=await moment(session))


def _say_told(
    session: AsyncSession, subject: Subject, counts: Counts, corrected: int, *, at: datetime
) -> None:
    subject.is_told(at=at, eligible=counts.eligible, unknown=counts.unknown, alerted=counts.alerted)
    log.info("subject told", subject_id=str(subject.subject_id), new=counts.alerted, old=corrected)
    outbox.add(session, _completed(subject, counts, corrected))


async def is_held(session: AsyncSession, subject_id: UUID) -> bool:
    """Whether this subject, or everything, is held back or stopped."""
    found = await session.scalar(
        select(hold.c.subject_id)
        .where(
            hold.c.subject_id.in_([subject_id, EVERYTHING]),
            hold.c.state != HoldState.RELEASED,
        )
        .limit(1)
    )
    return found is not None


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


async def tell(
    session: AsyncSession,
    subject: Subject,
    kind: AlertKind,
    *,
    only: Sequence[UUID] | None = None,
) -> Counts:
    """Give everybody who matches, and has none, the first alert; `only` narrows it to some."""
    tracks = [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.snapshot())
    ]
    rows = matches(tracks, subject, kind)
    if only is not None:
        # In one order, so that two who tell the same cooperatives never wait in a circle.
        rows = rows.where(audience.c.cooperative_id == func.any(list(only)))
        rows = rows.order_by(audience.c.cooperative_id)
    told = (
        insert(alert)
        .from_select(_COLUMNS, rows)
        .on_conflict_do_nothing()
        .returning(alert.c.eligible_tracks)
        .cte("told")
    )
    counted = await session.execute(
        select(
            func.count().filter(told.c.eligible_tracks != 0),
            func.count().filter(told.c.eligible_tracks == 0),
        ).select_from(told)
    )
    eligible, unknown = counted.one()
    return Counts(eligible, unknown)


_COLUMNS = [
    "subject_id",
    "cooperative_id",
    "edition",
    "kind",
    "subject_version",
    "audience_version",
    "eligible_tracks",
    "unknown_tracks",
    "unknown_fields",
    "created_at",
]


def matches(tracks: Sequence[TrackSql], subject: Subject, kind: AlertKind) -> Select[Any]:
    """One row per cooperative that some track may be for, with the tracks and what is unknown."""
    eligible, unknown, fields = masks(tracks)
    return select(
        literal(subject.subject_id),
        audience.c.cooperative_id,
        literal(FIRST, Integer),
        literal(kind.value),
        literal(subject.version, Integer),
        audience.c.version,
        eligible,
        unknown,
        fields,
        func.statement_timestamp(),
    ).where(or_(*(track.possible for track in tracks)))


def masks(
    tracks: Sequence[TrackSql],
) -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[int]]:
    """Bit n of the first two is track n; the third names the unknown fields of its tracks."""
    eligible: ColumnElement[int] = literal(0, Integer)
    unknown: ColumnElement[int] = literal(0, Integer)
    fields: ColumnElement[int] = literal(0, Integer)
    for number, track in enumerate(tracks):
        bit = 1 << number
        sure = and_(track.possible, track.unknown == 0)
        unsure = and_(track.possible, track.unknown != 0)
        eligible = eligible.op("|")(case((sure, bit), else_=0))
        unknown = unknown.op("|")(case((unsure, bit), else_=0))
        fields = fields.op("|")(case((unsure, track.unknown), else_=0))
    return cast(eligible, Integer), cast(unknown, Integer), cast(fields, Integer)


async def correct(session: AsyncSession, subject: Subject, kind: AlertKind) -> int:
    """Tell exactly those who were told older content; how many."""
    last = (
        select(
            alert.c.cooperative_id,
            alert.c.subject_version,
            alert.c.audience_version,
            alert.c.eligible_tracks,
            alert.c.unknown_tracks,
            alert.c.unknown_fields,
        )
        .ext(distinct_on(alert.c.cooperative_id))
        .where(alert.c.subject_id == subject.subject_id)
        .order_by(alert.c.cooperative_id, alert.c.subject_version.desc())
        .subquery()
    )
    rows = select(
        literal(subject.subject_id),
        last.c.cooperative_id,
        literal(subject.version, Integer),
        literal(kind.value),
        literal(subject.version, Integer),
        last.c.audience_version,
        last.c.eligible_tracks,
        last.c.unknown_tracks,
        last.c.unknown_fields,
        func.statement_timestamp(),
    ).where(last.c.subject_version < subject.version)
    result = await session.execute(
        insert(alert).from_select(_COLUMNS, rows).on_conflict_do_nothing()
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # a cursor result, being an insert


async def tell_late_matches(session: AsyncSession, changed: Sequence[UUID]) -> int:
    """Match changed cooperatives against subjects told before and still open; how many alerts.

    The caller has taken the shared audience lock after the changes were committed, so every fan-out
    has either committed, and its subject is seen here, or will see the changed rows itself.
    """
    table = subject_table.c
    found = await session.scalars(
        select(Subject)
        .where(table.told_version.is_not(None), still_open(), ~_is_kept_back())
        .order_by(table.subject_id)
    )
    told = 0
    for subject in found:
        told += await tell_those_missing(session, subject, only=changed)
    return told


async def tell_those_missing(
    session: AsyncSession, subject: Subject, *, only: Sequence[UUID] | None = None
) -> int:
    """Give the first alert of a subject told before to those who match only now; how many."""
    counts = await tell(session, subject, subject.first_kind(), only=only)
    if counts.alerted:
        await _count_late(session, subject.subject_id, counts)
        metrics.told_late(session, subject.kind.value, counts.eligible, counts.unknown)
    return counts.alerted


def still_open() -> ColumnElement[bool]:
    """New readers may be told: the subject is open, and its deadline has not passed."""
    table = subject_table.c
    return and_(
        table.state == SubjectState.OPEN,
        or_(table.closes_at.is_(None), table.closes_at > func.now()),
    )


def _is_kept_back() -> ColumnElement[bool]:
    """Somebody holds the subject, or everything."""
    return exists().where(
        hold.c.subject_id.in_([subject_table.c.subject_id, EVERYTHING]),
        hold.c.state != HoldState.RELEASED,
    )


async def _count_late(session: AsyncSession, subject_id: UUID, counts: Counts) -> None:
    """Add in the database: several may count at the same time."""
    table = subject_table.c
    await session.execute(
        update(subject_table)
        .where(table.subject_id == subject_id)
        .values(
            eligible=table.eligible + counts.eligible,
            unknown=table.unknown + counts.unknown,
            alerted=table.alerted + counts.alerted,
        )
    )


async def _remember(session: AsyncSession, news: News) -> None:
    """Keep each version that was heard: alerts point at the version they told."""
    await session.execute(
        insert(subject_history)
        .values(
            subject_id=news.subject_id,
            version=news.version,
            content=news.content.model_dump(mode="json"),
            reference_on=news.reference_on,
            heard_at=func.statement_timestamp(),
        )
        .on_conflict_do_nothing()
    )


async def _content_told(session: AsyncSession, subject: Subject) -> Snapshot | None:
    if subject.told_version is None:
        return None
    content = await session.scalar(
        select(subject_history.c.content).where(
            subject_history.c.subject_id == subject.subject_id,
            subject_history.c.version == subject.told_version,
        )
    )
    return type(subject.snapshot()).model_validate(content) if content else None
