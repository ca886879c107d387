"""Reads for explanations: content, profile, alerts and decisions, as of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import PROFILE_FIELDS, audience_history
from notifications.fanout.domain.contents import read_content
from notifications.fanout.domain.subjects import Subject
from notifications.fanout.models import alert, stored_content, subject_history
from notifications.fanout.queries.approvals import decisions_about
from notifications.fanout.queries.totals import get_subject
from notifications.inbox.queries import NoSuchCooperative
from shared.contracts.criteria import Profile
from shared.errors import Invalid
from shared.kernel.data.database import AnyRow, moment
from shared.sentences import Sentence

from .domain import ContentVersion, ProfileVersion, Situation, decisive_moment, newest_at


class MomentToCome(Invalid):
    """`at` lies in the future: give a moment in the past, or leave it out."""


@dataclass(frozen=True)
class Evidence:
    """Everything that an explanation is made of. `alerts` are in the order of their editions."""

    subject: Subject
    cooperative_id: UUID
    alerts: tuple[AnyRow, ...]
    situation: Situation


async def find_why(
    session: AsyncSession, subject_id: UUID, cooperative_id: UUID, *, at: datetime | None
) -> Evidence:
    """What explains why this cooperative was alerted of this subject, or why not, as of `at`.

    Without `at`: as of its first alert or, where there is none, of the decisive moment. Raises
    `NoSuchSubject`, `NoSuchCooperative`, and `MomentToCome` for a moment in the future of the
    database's clock.
    """
    found = await get_subject(session, subject_id)
    await _require_known(session, cooperative_id)
    contents = await _contents(session, found)
    now = await moment(session)
    if at is not None and at > now:
        raise MomentToCome(field="at")
    alerts = await _alerts(session, subject_id, cooperative_id, until=at or now)
    if alerts:
        situation = await _situation_alerted(session, contents, alerts[0], at)
    else:
        decisive = decisive_moment(contents, fanned_out_at=found.fanned_out_at, now=now)
        situation = await _situation_not_alerted(
            session, found, contents, cooperative_id, at or decisive
        )
    decisions = await decisions_about(session, subject_id, until=situation.at)
    return Evidence(found, cooperative_id, alerts, replace(situation, decisions=decisions))


async def _require_known(session: AsyncSession, cooperative_id: UUID) -> None:
    known = exists().where(audience_history.c.cooperative_id == cooperative_id)
    if not await session.scalar(select(known)):
        raise NoSuchCooperative(
            Sentence(
                "no cooperative {cooperative_id} is in the audience yet",
                cooperative_id=cooperative_id,
            )
        )


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


async def _situation_alerted(
    session: AsyncSession, contents: Sequence[ContentVersion], first: AnyRow, at: datetime | None
) -> Situation:
    """The content and the profile that the first alert is about, whatever came later."""
    profile = _profile(first.cooperative_id).where(
        audience_history.c.version == first.audience_version
    )
    return Situation(
        cooperative_id=first.cooperative_id,
        at=at or first.created_at,
        was_alerted=True,
        was_fanned_out=True,
        content=next(each for each in contents if each.version == first.subject_version),
        profile=await _profile_version(session, profile),
    )


async def _situation_not_alerted(
    session: AsyncSession,
    found: Subject,
    contents: Sequence[ContentVersion],
    cooperative_id: UUID,
    at: datetime,
) -> Situation:
    profile = _profile(cooperative_id).where(audience_history.c.valid_from <= at)
    return Situation(
        cooperative_id=cooperative_id,
        at=at,
        was_alerted=False,
        was_fanned_out=found.fanned_out_at is not None and found.fanned_out_at <= at,
        content=newest_at(contents, at),
        profile=await _profile_version(session, profile),
    )


async def _contents(session: AsyncSession, found: Subject) -> tuple[ContentVersion, ...]:
    """Every version of a subject that was received."""
    rows = await session.execute(
        select(
            subject_history.c.version,
            subject_history.c.reference_on,
            subject_history.c.received_at,
            stored_content(subject_history),
        ).where(subject_history.c.subject_id == found.subject_id)
    )
    return tuple(
        ContentVersion(
            version=row.version,
            announcement=read_content(row.content).announcement,
            reference_on=row.reference_on,
            received_at=row.received_at,
        )
        for row in rows
    )


def _profile(cooperative_id: UUID) -> Select[Any]:
    """The newest version of a cooperative among those that the caller narrows it to."""
    return (
        select(audience_history)
        .where(audience_history.c.cooperative_id == cooperative_id)
        .order_by(audience_history.c.version.desc())
        .limit(1)
    )


async def _profile_version(session: AsyncSession, statement: Select[Any]) -> ProfileVersion | None:
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    profile = Profile.model_validate({name: getattr(row, name) for name in PROFILE_FIELDS})
    return ProfileVersion(row.version, profile)
