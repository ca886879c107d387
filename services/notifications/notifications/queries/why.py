"""What is known of one cooperative and one subject, as of a moment: content, facts and alerts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.criteria import Facts
from shared.errors import Invalid

from ..domain import Subject, SubjectKind
from ..domain.why import ContentThen, FactsThen, Then, decisive_moment, snapshot_of
from ..models import alert, audience_history, subject_history
from .alerts import NoSuchCooperative
from .holds import decisions_about
from .rows import FACT_NAMES, AnyRow
from .totals import get_subject


class MomentToCome(Invalid):
    """`at` lies ahead: give a moment that has been, or leave it out."""


@dataclass(frozen=True)
class Known:
    """Everything that an answer is made of. `alerts` come in the order in which they were told."""

    subject: Subject
    cooperative_id: UUID
    alerts: tuple[AnyRow, ...]
    then: Then


async def find_why(
    session: AsyncSession, subject_id: UUID, cooperative_id: UUID, *, at: datetime | None
) -> Known:
    """Why this cooperative was told of this subject, or why not, as of `at`.

    Without `at`: as of its first alert or, where there is none, of the decisive moment.
    """
    now = datetime.now(UTC)
    if at is not None and at > now:
        raise MomentToCome(field="at")
    found = await get_subject(session, subject_id)
    came_at = await _came_at(session, cooperative_id)
    alerts = await _alerts(session, subject_id, cooperative_id, until=at or now)
    if alerts:
        then = await _when_told(session, found, alerts[0], at)
    else:
        moment = at or await _decisive(session, found, came_at, now)
        then = await _when_not_told(session, found, cooperative_id, moment)
    decisions = await decisions_about(session, subject_id, until=then.at)
    return Known(found, cooperative_id, alerts, replace(then, decisions=decisions))


async def _came_at(session: AsyncSession, cooperative_id: UUID) -> datetime:
    came_at = await session.scalar(
        select(func.min(audience_history.c.valid_from)).where(
            audience_history.c.cooperative_id == cooperative_id
        )
    )
    if not isinstance(came_at, datetime):
        raise NoSuchCooperative(f"no cooperative {cooperative_id} is in the audience yet")
    return came_at


async def _alerts(
    session: AsyncSession, subject_id: UUID, cooperative_id: UUID, *, until: datetime
) -> tuple[AnyRow, ...]:
    rows = await session.execute(
        select(alert)
        .where(
            alert.c.subject_id == subject_id,
            alert.c.cooperative_id == cooperative_id,
            alert.c.created_at <= until,
        )
        .order_by(alert.c.edition)
    )
    return tuple(rows)


async def _when_told(
    session: AsyncSession, found: Subject, first: AnyRow, at: datetime | None
) -> Then:
    """The content and the facts that the first alert points at, whatever came later."""
    contents = _contents(first.subject_id).where(subject_history.c.version == first.subject_version)
    facts = _facts(first.cooperative_id).where(audience_history.c.version == first.audience_version)
    return Then(
        at=at or first.created_at,
        was_told=True,
        was_fanned_out=True,
        content=await _content(session, found.kind, contents),
        facts=await _facts_then(session, facts),
    )


async def _decisive(
    session: AsyncSession, found: Subject, came_at: datetime, now: datetime
) -> datetime:
    on_arrival = await _content_at(session, found, came_at)
    return decisive_moment(
        fanned_out_at=found.fanned_out_at,
        came_at=came_at,
        came_while_open=on_arrival is not None and on_arrival.is_open(came_at),
        now=now,
    )


async def _when_not_told(
    session: AsyncSession, found: Subject, cooperative_id: UUID, moment: datetime
) -> Then:
    facts = _facts(cooperative_id).where(audience_history.c.valid_from <= moment)
    return Then(
        at=moment,
        was_told=False,
        was_fanned_out=found.fanned_out_at is not None and found.fanned_out_at <= moment,
        content=await _content_at(session, found, moment),
        facts=await _facts_then(session, facts),
    )


async def _content_at(
    session: AsyncSession, found: Subject, moment: datetime
) -> ContentThen | None:
    heard = _contents(found.subject_id).where(subject_history.c.heard_at <= moment)
    return await _content(session, found.kind, heard)


def _contents(subject_id: UUID) -> Select[Any]:
    """The versions of a subject, the newest first: what arrived late never replaced a newer one."""
    return (
        select(subject_history)
        .where(subject_history.c.subject_id == subject_id)
        .order_by(subject_history.c.version.desc())
        .limit(1)
    )


def _facts(cooperative_id: UUID) -> Select[Any]:
    """The versions of a cooperative, the newest first."""
    return (
        select(audience_history)
        .where(audience_history.c.cooperative_id == cooperative_id)
        .order_by(audience_history.c.version.desc())
        .limit(1)
    )


async def _content(
    session: AsyncSession, kind: SubjectKind, statement: Select[Any]
) -> ContentThen | None:
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return ContentThen(row.version, snapshot_of(kind, row.content), row.reference_on)


async def _facts_then(session: AsyncSession, statement: Select[Any]) -> FactsThen | None:
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    facts = Facts.model_validate({name: getattr(row, name) for name in FACT_NAMES})
    return FactsThen(row.version, facts)
