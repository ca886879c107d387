"""Subjects, and who was alerted of each: counts and recipients.

`within` narrows every count to cooperatives that are in these provinces today.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience, audience_history
from notifications.audience.territory import Within, lies_within
from shared.errors import NotFound
from shared.kernel.data.database import AnyRow
from shared.sentences import Sentence

from ..domain.subjects import FIRST, Subject
from ..models import alert, subject


class NoSuchSubject(NotFound):
    """No idea, call or announcement of this id has arrived yet."""


async def audience_totals(session: AsyncSession) -> AnyRow:
    """How many cooperatives the audience has, how many members they have, and its last change."""
    found = await session.execute(
        select(
            func.count().label("cooperatives"),
            func.coalesce(func.sum(audience.c.members_total), 0).label("members"),
            func.max(audience.c.updated_at).label("updated_at"),
        )
    )
    return found.one()


async def get_subject(session: AsyncSession, subject_id: UUID) -> Subject:
    """The subject of this id; raises `NoSuchSubject` where none has arrived."""
    found = await session.get(Subject, subject_id)
    if found is None:
        raise NoSuchSubject(
            Sentence(
                "no idea, call or announcement {subject_id} has arrived yet", subject_id=subject_id
            )
        )
    return found


async def list_subjects(session: AsyncSession, *, limit: int) -> Sequence[Subject]:
    """Subjects, the last fanned out first; those that were not fanned out come last.

    What is addressed to one cooperative is nobody else's to read.
    """
    found = await session.scalars(
        select(Subject)
        .where(subject.c.addressed_to.is_(None))
        .order_by(subject.c.fanned_out_at.desc().nulls_last())
        .limit(limit)
    )
    return found.all()


def _first_alerts(subject_id: UUID, within: Within) -> tuple[ColumnElement[bool], ...]:
    return (
        alert.c.subject_id == subject_id,
        alert.c.edition == FIRST,
        lies_within(within, alert.c.cooperative_id),
    )


async def totals_by(
    session: AsyncSession, subject_id: UUID, column: str, *, within: Within = None
) -> list[tuple[str | None, int, int]]:
    """First alerts of a subject by a field of the profile at that time: (value, eligible,
    unknown)."""
    value = audience_history.c[column]
    rows = await session.execute(
        select(
            value,
            func.count().filter(alert.c.eligible_tracks != 0),
            func.count().filter(alert.c.eligible_tracks == 0),
        )
        .join(
            audience_history,
            (audience_history.c.cooperative_id == alert.c.cooperative_id)
            & (audience_history.c.version == alert.c.audience_version),
        )
        .where(*_first_alerts(subject_id, within))
        .group_by(value)
        .order_by(func.count().desc(), value)
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def recipients(
    session: AsyncSession,
    subject_id: UUID,
    *,
    after: UUID | None,
    limit: int,
    within: Within = None,
) -> list[AnyRow]:
    """Who has the first alert of a subject, in the order of cooperative ids, with the masks."""
    statement = select(
        alert.c.cooperative_id, alert.c.eligible_tracks, alert.c.unknown_tracks, alert.c.seq
    ).where(*_first_alerts(subject_id, within))
    if after is not None:
        statement = statement.where(alert.c.cooperative_id > after)
    rows = await session.execute(statement.order_by(alert.c.cooperative_id).limit(limit))
    return list(rows)


async def repeated_alerts(session: AsyncSession, subject_id: UUID, *, within: Within = None) -> int:
    """How many recipients have more than one first alert of a subject; the key keeps this at 0."""
    repeated = (
        select(alert.c.cooperative_id)
        .where(*_first_alerts(subject_id, within))
        .group_by(alert.c.cooperative_id)
        .having(func.count() > 1)
        .subquery()
    )
    return int(await session.scalar(select(func.count()).select_from(repeated)) or 0)


async def corrections_of(
    session: AsyncSession, subject_id: UUID, *, within: Within = None
) -> list[AnyRow]:
    """The corrections of a subject: (edition, kind, alerts), in order."""
    rows = await session.execute(
        select(alert.c.edition, alert.c.kind, func.count().label("alerts"))
        .where(
            alert.c.subject_id == subject_id,
            alert.c.edition != FIRST,
            lies_within(within, alert.c.cooperative_id),
        )
        .group_by(alert.c.edition, alert.c.kind)
        .order_by(alert.c.edition)
    )
    return list(rows)
