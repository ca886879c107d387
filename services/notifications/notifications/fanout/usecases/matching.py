"""Matching: the criteria of a subject, evaluated on the whole audience in one statement."""

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
    """The criteria of each track of the newest content, compiled to SQL on the audience."""
    return [
        compile_track(criteria, audience, subject.reference_on)
        for criteria in audience_tracks(subject.announcement())
    ]


def addressees_of(subject: Subject) -> list[Condition]:
    """What narrows the audience beside the criteria: nobody is alerted of what is their own, and of
    what is addressed to one cooperative nobody else."""
    content = subject.announcement()
    conditions: list[Condition] = []
    if content.belongs_to is not None:
        conditions.append(audience.c.cooperative_id != content.belongs_to)
    if content.addressed_to is not None:
        conditions.append(audience.c.cooperative_id == content.addressed_to)
    return conditions


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


def match_subject(
    subject: Subject,
    *columns: ColumnElement[Any],
    when: Sequence[Condition] = (),
    first: int | None = None,
) -> Matching:
    """Whom the newest content of a subject may be for; `when` and `first` as in `match`."""
    narrowed = [*addressees_of(subject), *when]
    return match(tracks_of(subject), *columns, when=narrowed, first=first)


def match(
    tracks: Sequence[TrackSql],
    *columns: ColumnElement[Any],
    when: Sequence[Condition] = (),
    first: int | None = None,
) -> Matching:
    """Evaluate the tracks on the audience.

    `when` narrows the audience; `first` limits the rows, in the order of cooperative ids.
    """
    # Where there is one track only, it may be for every row that is found.
    masks = [tracks[0].unknown] if len(tracks) == 1 else [_mask(track) for track in tracks]
    chosen = select(*columns, *_named(masks)).where(or_(*(track.possible for track in tracks)))
    chosen = chosen.where(*when)
    if first is not None:
        chosen = chosen.order_by(audience.c.cooperative_id).limit(first)
    return _matching(chosen, len(tracks))


def match_each(
    tracks: Sequence[TrackSql], recipients: Join, *columns: ColumnElement[Any]
) -> Matching:
    """Evaluate the tracks on rows that are joined with the audience: one row for each of them.

    No track is for a row that has no match in the audience.
    """
    is_known = audience.c.cooperative_id.is_not(None)
    masks = [_mask(track, is_known) for track in tracks]
    return _matching(select(*columns, *_named(masks)).select_from(recipients), len(tracks))


def _matching(chosen: Select[Any], count: int) -> Matching:
    # "OFFSET 0" keeps PostgreSQL from inlining the subquery: each mask is computed once, not once
    # for each expression that reads it.
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
    """The mask of a track's unknown fields: 0 where eligible, -1 where it excludes the row."""
    return case((and_(*when, track.possible), track.unknown), else_=-1)


def _named(masks: Sequence[ColumnElement[int]]) -> list[Label[int]]:
    return [mask.label(_name(number)) for number, mask in enumerate(masks)]


def _name(number: int) -> str:
    return f"track_{number}"
