"""Reads: inboxes with their reasons, totals of an event, feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.criteria import Facts
from shared.errors import NotFound

from .domain import Subject
from .models import (
    FACT_COLUMNS,
    alert,
    alert_state,
    amqp_door,
    audience,
    audience_history,
    feed_entry,
    subject,
    subject_history,
    subscription,
)
from .usecases.inbox import ReadState

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
FACT_NAMES = [name for name, _ in FACT_COLUMNS]


class NoSuchSubject(NotFound):
    """No idea or call of this id has been announced here yet."""


class NoSuchCooperative(NotFound):
    """No cooperative of this id is in the audience yet."""


@dataclass(frozen=True)
class AlertRow:
    """An alert with what it told: the content at its version, the facts at its version."""

    row: AnyRow

    @property
    def facts(self) -> Facts:
        return Facts.model_validate({name: getattr(self.row, name) for name in FACT_NAMES})


def _alerts(account_id: UUID) -> Select[Any]:
    told_before = (
        select(func.max(_earlier.c.subject_version))
        .where(
            _earlier.c.subject_id == alert.c.subject_id,
            _earlier.c.cooperative_id == alert.c.cooperative_id,
            _earlier.c.subject_version < alert.c.subject_version,
        )
        .correlate(alert)
        .scalar_subquery()
    )
    return (
        select(
            alert,
            func.coalesce(alert_state.c.state, "unread").label("read_state"),
            subject.c.kind.label("subject_kind"),
            subject.c.state.label("subject_state"),
            subject_history.c.content,
            subject_history.c.reference_on,
            _told.c.content.label("content_before"),
            *(audience_history.c[name] for name in FACT_NAMES),
        )
        .join(subject, subject.c.subject_id == alert.c.subject_id)
        .join(
            subject_history,
            (subject_history.c.subject_id == alert.c.subject_id)
            & (subject_history.c.version == alert.c.subject_version),
        )
        .join(
            audience_history,
            (audience_history.c.cooperative_id == alert.c.cooperative_id)
            & (audience_history.c.version == alert.c.audience_version),
        )
        .outerjoin(
            _told,
            (_told.c.subject_id == alert.c.subject_id) & (_told.c.version == told_before),
        )
        .outerjoin(
            alert_state,
            (alert_state.c.cooperative_id == alert.c.cooperative_id)
            & (alert_state.c.seq == alert.c.seq)
            & (alert_state.c.account_id == account_id),
        )
    )


_earlier = alert.alias("earlier")
_told = subject_history.alias("told")


async def list_alerts(
    session: AsyncSession,
    *,
    cooperative_id: UUID,
    account_id: UUID,
    state: ReadState | None,
    before: int | None,
    limit: int,
) -> list[AlertRow]:
    """The newest alerts of a cooperative, from the one before `before` on."""
    statement = _alerts(account_id).where(alert.c.cooperative_id == cooperative_id)
    if before is not None:
        statement = statement.where(alert.c.seq < before)
    if state is not None:
        statement = statement.where(func.coalesce(alert_state.c.state, "unread") == state)
    rows = await session.execute(statement.order_by(alert.c.seq.desc()).limit(limit))
    return [AlertRow(row) for row in rows]


async def language_of(session: AsyncSession, cooperative_id: UUID) -> str:
    """The language in which a cooperative is written to."""
    language = await session.scalar(
        select(audience.c.language).where(audience.c.cooperative_id == cooperative_id)
    )
    if language is None:
        raise NoSuchCooperative(f"no cooperative {cooperative_id} is in the audience yet")
    return str(language)


async def audience_totals(session: AsyncSession) -> AnyRow:
    """How many cooperatives and members notifications knows of."""
    found = await session.execute(
        select(
            func.count().label("cooperatives"),
            func.coalesce(func.sum(audience.c.members_total), 0).label("members"),
            func.max(audience.c.updated_at).label("updated_at"),
        )
    )
    return found.one()


async def get_subject(session: AsyncSession, subject_id: UUID) -> Subject:
    found = await session.get(Subject, subject_id)
    if found is None:
        raise NoSuchSubject(f"no idea or call {subject_id} has been announced here yet")
    return found


async def list_subjects(session: AsyncSession, *, limit: int) -> Sequence[Subject]:
    """Subjects, the latest told first."""
    found = await session.scalars(
        select(Subject).order_by(subject.c.fanned_out_at.desc().nulls_last()).limit(limit)
    )
    return found.all()


async def totals_by(
    session: AsyncSession, subject_id: UUID, column: str
) -> list[tuple[str | None, int, int]]:
    """First alerts of a subject by a fact as it was then: (value, eligible, unknown)."""
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
        .where(alert.c.subject_id == subject_id, alert.c.edition == 0)
        .group_by(value)
        .order_by(func.count().desc(), value)
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def recipients(
    session: AsyncSession, subject_id: UUID, *, after: UUID | None, limit: int
) -> list[AnyRow]:
    """Who has the first alert of a subject, by cooperative id, with the verdict."""
    statement = select(
        alert.c.cooperative_id, alert.c.eligible_tracks, alert.c.unknown_tracks, alert.c.seq
    ).where(alert.c.subject_id == subject_id, alert.c.edition == 0)
    if after is not None:
        statement = statement.where(alert.c.cooperative_id > after)
    rows = await session.execute(statement.order_by(alert.c.cooperative_id).limit(limit))
    return list(rows)


async def repeated_alerts(session: AsyncSession, subject_id: UUID) -> int:
    """Recipients with more than one first alert of a subject; the key makes this 0."""
    repeated = (
        select(alert.c.cooperative_id)
        .where(alert.c.subject_id == subject_id, alert.c.edition == 0)
        .group_by(alert.c.cooperative_id)
        .having(func.count() > 1)
        .subquery()
    )
    return int(await session.scalar(select(func.count()).select_from(repeated)) or 0)


async def read_feed(session: AsyncSession, slug: str, *, after: int, limit: int) -> list[AnyRow]:
    """The next entries of a partner's feed, by number."""
    rows = await session.execute(
        select(feed_entry)
        .where(feed_entry.c.slug == slug, feed_entry.c.position > after)
        .order_by(feed_entry.c.position)
        .limit(limit)
    )
    return list(rows)


async def list_subscriptions(session: AsyncSession, slug: str) -> list[AnyRow]:
    rows = await session.execute(
        select(subscription)
        .where(subscription.c.slug == slug)
        .order_by(subscription.c.created_at, subscription.c.subscription_id)
    )
    return list(rows)


async def get_door(session: AsyncSession, slug: str) -> AnyRow | None:
    rows = await session.execute(select(amqp_door).where(amqp_door.c.slug == slug))
    return rows.one_or_none()
