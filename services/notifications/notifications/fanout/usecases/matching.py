"""Matching: the criteria of a subject over the audience, as rows of one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Join,
    Label,
    Select,
    Subquery,
    and_,
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
    # The only track is for everybody who is found.
    masks = [tracks[0].unknown] if len(tracks) == 1 else [_mask(track) for track in tracks]
    chosen = select(*columns, *_named(masks)).where(or_(*(track.possible for track in tracks)))
    chosen = chosen.where(*when)
    if first is not None:
        chosen = chosen.order_by(audience.c.cooperative_id).limit(first)
    return _matching(chosen, len(tracks))


def match_each(
    tracks: Sequence[TrackSql], recipients: Join, *columns: ColumnElement[Any]
) -> Matching:
    """The tracks over rows joined with the audience, one row for each, whomever a track is for.

    No track is for those whom the audience does not have.
    """
    is_known = audience.c.cooperative_id.is_not(None)
    masks = [_mask(track, is_known) for track in tracks]
    return _matching(select(*columns, *_named(masks)).select_from(recipients), len(tracks))


def _matching(chosen: Select[Any], count: int) -> Matching:
    # "OFFSET 0" is a fence: each mask is worked out once, not once for everybody who reads it.
    rows = chosen.offset(literal_column("0")).subquery("matching")
    eligible: ColumnElement[int] = literal_column("0", Integer)
    unknown: ColumnElement[int] = literal_column("0", Integer)
    fields: ColumnElement[int] = literal_column("0", Integer)
    for number in range(count):
        bit = literal_column(str(1 << number), Integer)
        mask = rows.c[_name(number)]
        eligible = eligible.op("|")(case((mask == 0, bit), else_=0))
        unknown = unknown.op("|")(case((mask > 0, bit), else_=0))
        fields = fields.op("|")(func.greatest(mask, 0))
    return Matching(rows, cast(eligible, Integer), cast(unknown, Integer), cast(fields, Integer))


def _mask(track: TrackSql, *when: Condition) -> ColumnElement[int]:
    """The unknown fields of a track, none for eligible; -1 where the track is not for them."""
    return case((and_(*when, track.possible), track.unknown), else_=-1)


def _named(masks: Sequence[ColumnElement[int]]) -> list[Label[int]]:
    return [mask.label(_name(number)) for number, mask in enumerate(masks)]


def _name(number: int) -> str:
    return f"track_{number}"
