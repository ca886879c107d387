"""Matching: the criteria of a subject, evaluated on the whole audience in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Subquery,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from notifications.audience.models import audience
from shared.eligibility.sql import TrackSql, compile_track

from ..domain.subjects import Subject, audience_tracks

Condition = ColumnElement[bool]


def tracks_of(subject: Subject) -> list[TrackSql]:
    """The criteria of each track of the newest content, compiled to SQL on the audience."""
    return [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.announcement())
    ]


@dataclass(frozen=True)
class Matching:
    """The cooperatives that some track is, or may be, for.

    `rows` has the columns asked for. Bit n of `eligible` and of `unknown` stands for track n;
    `fields` is the mask of the fields whose absence leaves some track unknown.
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
    """Evaluate the tracks on the audience.

    `when` narrows the audience; `first` limits the rows, in the order of cooperative ids.
    """
    masks = (_mask(track, number, is_only=len(tracks) == 1) for number, track in enumerate(tracks))
    chosen = select(*columns, *masks).where(or_(*(track.possible for track in tracks)), *when)
    if first is not None:
        chosen = chosen.order_by(audience.c.cooperative_id).limit(first)
    # "OFFSET 0" keeps PostgreSQL from inlining the subquery: each mask is computed once, not once
    # for each expression that reads it.
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


def _mask(track: TrackSql, number: int, *, is_only: bool) -> ColumnElement[int]:
    """The mask of a track's unknown fields: 0 where eligible, -1 where the track excludes the
    row."""
    # Where there is one track only, it may be for every row that is found.
    mask = track.unknown if is_only else case((track.possible, track.unknown), else_=-1)
    return mask.label(_name(number))


def _name(number: int) -> str:
    return f"track_{number}"
