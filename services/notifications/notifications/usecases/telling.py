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
    Subquery,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.eligibility.sql import TrackSql, compile_track

from ..domain import EVERYTHING, AlertKind, HoldState, Subject, SubjectState, audience_tracks
from ..domain.subjects import FIRST
from ..models import alert, audience, hold
from ..models import subject as subject_table

Condition = ColumnElement[bool]


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
    concerned = [] if only is None else [audience.c.cooperative_id == func.any(list(only))]
    rows = matches(subject, kind, at, concerned)
    if only is not None:
        # In one order, so that two who tell the same cooperatives never wait in a circle.
        rows = rows.order_by("cooperative_id")
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
    subject: Subject, kind: AlertKind, at: datetime | None, concerned: Sequence[Condition] = ()
) -> Select[Any]:
    """One row per cooperative that some track may be for, with the tracks and what is unknown."""
    found = match(tracks_of(subject), audience.c.cooperative_id, audience.c.version, when=concerned)
    return select(
        literal(subject.subject_id),
        found.rows.c.cooperative_id,
        literal(FIRST, Integer),
        literal(kind.value),
        literal(subject.version, Integer),
        found.rows.c.version,
        found.eligible,
        found.unknown,
        found.fields,
        _moment_of(at),
    )


def _moment_of(at: datetime | None) -> ColumnElement[datetime]:
    return func.statement_timestamp() if at is None else literal(at, DateTime(timezone=True))


def tracks_of(subject: Subject) -> list[TrackSql]:
    """Whom each track is for, over the audience."""
    return [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.snapshot())
    ]


@dataclass(frozen=True)
class Matching:
    """Those whom some track may be for: `rows` has the columns asked for.

    Bit n of `eligible` and `unknown` is track n; `fields` names the unknown fields of its tracks.
    """

    rows: Subquery
    eligible: ColumnElement[int]
    unknown: ColumnElement[int]
    fields: ColumnElement[int]


def match(
    tracks: Sequence[TrackSql],
    *columns: ColumnElement[Any],
    when: Sequence[Condition] = (),
    first: int | None = None,
) -> Matching:
    """The tracks over the audience; `when` narrows it, and only so many `first` ones are found."""
    masks = (_mask(track, number, len(tracks)) for number, track in enumerate(tracks))
    chosen = select(*columns, *masks).where(or_(*(track.possible for track in tracks)), *when)
    if first is not None:
        chosen = chosen.order_by(audience.c.cooperative_id).limit(first)
    # "OFFSET 0" is a fence: each mask is worked out once, not once for everybody who reads it.
    rows = chosen.offset(literal_column("0")).subquery("matching")
    eligible: ColumnElement[int] = literal_column("0", Integer)
    unknown: ColumnElement[int] = literal_column("0", Integer)
    fields: ColumnElement[int] = literal_column("0", Integer)
    for number in range(len(tracks)):
        bit = literal_column(str(1 << number), Integer)
        mask = rows.c[_name(number)]
        eligible = eligible.op("|")(case((mask == 0, bit), else_=0))
        unknown = unknown.op("|")(case((mask > 0, bit), else_=0))
        fields = fields.op("|")(func.greatest(mask, 0))
    return Matching(rows, cast(eligible, Integer), cast(unknown, Integer), cast(fields, Integer))


def _mask(track: TrackSql, number: int, count: int) -> ColumnElement[int]:
    """The unknown fields of a track, none for eligible; -1 where the track is not for them."""
    # The only track is for everybody who is found.
    mask = track.unknown if count == 1 else case((track.possible, track.unknown), else_=-1)
    return mask.label(_name(number))


def _name(number: int) -> str:
    return f"track_{number}"


async def correct(session: AsyncSession, subject: Subject, kind: AlertKind, *, at: datetime) -> int:
    """Tell exactly those who were told older content; how many.

    A correction says of its own content, and of the facts of its moment, which tracks are for the
    reader: none, where nothing is any more.
    """
    last = (
        select(alert.c.cooperative_id, alert.c.subject_version, alert.c.audience_version)
        .ext(distinct_on(alert.c.cooperative_id))
        .where(alert.c.subject_id == subject.subject_id)
        .order_by(alert.c.cooperative_id, alert.c.subject_version.desc())
        .cte("last")
    )
    concerned = audience.c.cooperative_id.in_(select(last.c.cooperative_id))
    found = match(tracks_of(subject), audience.c.cooperative_id, when=[concerned])
    known = last.outerjoin(audience, audience.c.cooperative_id == last.c.cooperative_id).outerjoin(
        found.rows, found.rows.c.cooperative_id == last.c.cooperative_id
    )
    rows = (
        select(
            literal(subject.subject_id),
            last.c.cooperative_id,
            literal(subject.version, Integer),
            literal(kind.value),
            literal(subject.version, Integer),
            func.coalesce(audience.c.version, last.c.audience_version),
            found.eligible,
            found.unknown,
            found.fields,
            _moment_of(at),
        )
        .select_from(known)
        .where(last.c.subject_version < subject.version)
    )
    result = await session.execute(
        insert(alert).from_select(_COLUMNS, rows).on_conflict_do_nothing()
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # a cursor result, being an insert


def still_open() -> ColumnElement[bool]:
    """New readers may be told: the subject is open, and its deadline has not passed."""
    table = subject_table.c
    return and_(
        table.state == SubjectState.OPEN,
        or_(table.closes_at.is_(None), table.closes_at > func.now()),
    )


def is_kept_back(*states: HoldState) -> ColumnElement[bool]:
    """The subject, or everything, is held or stopped; or in one of these states."""
    return exists().where(
        hold.c.subject_id.in_([subject_table.c.subject_id, EVERYTHING]),
        hold.c.state.in_(states or (HoldState.HELD, HoldState.STOPPED)),
    )
