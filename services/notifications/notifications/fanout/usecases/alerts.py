"""Alerts: one statement writes every alert of a subject, each with the tracks that it is for.

Whoever calls these functions holds the audience lock (`AUDIENCE_LOCK`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, Select, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience

from ..domain.subjects import FIRST, AlertKind, Subject
from ..models import alert
from .matching import Condition, match_each, match_subject, tracks_of


@dataclass(frozen=True)
class Counts:
    """How many first alerts a statement wrote, by verdict."""

    eligible: int = 0
    unknown: int = 0

    @property
    def alerted(self) -> int:
        """How many alerts there are, whatever the verdict."""
        return self.eligible + self.unknown


async def insert_alerts(
    session: AsyncSession,
    subject: Subject,
    kind: AlertKind,
    *,
    at: datetime | None = None,
    only: Sequence[UUID] | None = None,
) -> Counts:
    """Write the first alert of everybody who matches and has none; how many, by verdict.

    `only` narrows it to some cooperatives. `at` dates the alerts; without it they bear the moment
    of the statement.
    """
    concerned = [] if only is None else [audience.c.cooperative_id == func.any(list(only))]
    rows = _first_alerts(subject, kind, at, concerned)
    if only is not None:
        # In one order, so that two backfills of the same cooperatives never deadlock.
        rows = rows.order_by("cooperative_id")
    inserted = (
        insert(alert)
        .from_select(_COLUMNS, rows)
        .on_conflict_do_nothing()
        .returning(alert.c.eligible_tracks)
        .cte("inserted")
    )
    counted = await session.execute(
        select(
            func.count().filter(inserted.c.eligible_tracks != 0),
            func.count().filter(inserted.c.eligible_tracks == 0),
        ).select_from(inserted)
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


def _first_alerts(
    subject: Subject, kind: AlertKind, at: datetime | None, concerned: Sequence[Condition] = ()
) -> Select[Any]:
    """One row per cooperative that some track may be for, with the masks of tracks and fields."""
    found = match_subject(subject, audience.c.cooperative_id, audience.c.version, when=concerned)
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


async def insert_corrections(
    session: AsyncSession, subject: Subject, kind: AlertKind, *, at: datetime
) -> int:
    """Write a correction for exactly those who were alerted of older content; how many.

    Its masks say which tracks of the newer content are for the present profile of the recipient:
    none, where the recipient does not match any more.
    """
    result = await session.execute(
        insert(alert)
        .from_select(_COLUMNS, _corrections(subject, kind, at))
        .on_conflict_do_nothing()
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # a cursor result, being an insert


def _corrections(subject: Subject, kind: AlertKind, at: datetime) -> Select[Any]:
    """One row per recipient whose last alert is of older content, with the masks of the newest.

    Each is looked up in the audience by its key: the statistics of `alert` know nothing of a
    subject that was fanned out a moment ago, and must not decide how two large parts are joined.
    """
    last = (
        select(alert.c.cooperative_id, alert.c.subject_version, alert.c.audience_version)
        .ext(distinct_on(alert.c.cooperative_id))
        .where(alert.c.subject_id == subject.subject_id)
        .order_by(alert.c.cooperative_id, alert.c.subject_version.desc())
        .subquery("last")
    )
    found = match_each(
        tracks_of(subject),
        last.outerjoin(audience, audience.c.cooperative_id == last.c.cooperative_id),
        last.c.cooperative_id,
        last.c.subject_version,
        func.coalesce(audience.c.version, last.c.audience_version).label("version"),
    )
    return select(
        literal(subject.subject_id),
        found.rows.c.cooperative_id,
        literal(subject.version, Integer),
        literal(kind.value),
        literal(subject.version, Integer),
        found.rows.c.version,
        found.eligible,
        found.unknown,
        found.fields,
        _moment_of(at),
    ).where(found.rows.c.subject_version < subject.version)


def _moment_of(at: datetime | None) -> ColumnElement[datetime]:
    return func.statement_timestamp() if at is None else literal(at, DateTime(timezone=True))
