"""Matching: the criteria of a subject over the audience, as rows of one statement."""

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
    """Whom each track is for, over the audience."""
    return [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.announcement())
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
