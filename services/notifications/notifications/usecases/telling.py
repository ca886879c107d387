"""Telling: one statement writes every alert of a subject, each with its reasons.

Whoever tells holds the audience lock (`fanout.lock_audience`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
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

from shared.eligibility.sql import TrackSql, compile_track

from .. import metrics
from ..domain import EVERYTHING, AlertKind, HoldState, Subject, SubjectState, audience_tracks
from ..domain.subjects import FIRST
from ..models import alert, audience, hold
from ..models import subject as subject_table


@dataclass(frozen=True)
class Counts:
    """How many alerts a statement wrote, by verdict."""

    eligible: int = 0
    unknown: int = 0

    @property
    def alerted(self) -> int:
        return self.eligible + self.unknown


async def tell(
    session: AsyncSession,
    subject: Subject,
    kind: AlertKind,
    *,
    at: datetime | None = None,
    only: Sequence[UUID] | None = None,
) -> Counts:
    """Give everybody who matches, and has none, the first alert; `only` narrows it to some.

    `at` is the moment that the alerts bear: that of the statement, unless one is given.
    """
    tracks = [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.snapshot())
    ]
    rows = matches(tracks, subject, kind, at)
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


def matches(
    tracks: Sequence[TrackSql], subject: Subject, kind: AlertKind, at: datetime | None
) -> Select[Any]:
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
        _moment_of(at),
    ).where(or_(*(track.possible for track in tracks)))


def _moment_of(at: datetime | None) -> ColumnElement[datetime]:
    return func.statement_timestamp() if at is None else literal(at, DateTime(timezone=True))


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


async def correct(session: AsyncSession, subject: Subject, kind: AlertKind, *, at: datetime) -> int:
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
        _moment_of(at),
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
