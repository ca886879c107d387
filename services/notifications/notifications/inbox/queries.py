"""Reads of inboxes: alerts with the content and the profile that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import PROFILE_FIELDS, audience, audience_history
from notifications.fanout.models import alert, subject, subject_history
from shared.contracts.criteria import Profile
from shared.errors import NotFound
from shared.kernel.data.database import AnyRow

from .models import alert_state
from .usecases import ReadState


class NoSuchCooperative(NotFound):
    """No cooperative of this id is in the audience yet."""


@dataclass(frozen=True)
class AlertRow:
    """An alert with the versions of content and profile that it is about.

    `row` has the columns of the statement below, `content_before` among them: what the recipient
    was alerted of before.
    """

    row: AnyRow

    @property
    def profile(self) -> Profile:
        """The profile of the recipient at the version that the alert is about."""
        return Profile.model_validate({name: getattr(self.row, name) for name in PROFILE_FIELDS})


_earlier = alert.alias("earlier")
_content_before = subject_history.alias("content_before")


def _alerts(account_id: UUID) -> Select[Any]:
    version_before = (
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
            subject_history.c.reason,
            _content_before.c.content.label("content_before"),
            *(audience_history.c[name] for name in PROFILE_FIELDS),
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
            _content_before,
            (_content_before.c.subject_id == alert.c.subject_id)
            & (_content_before.c.version == version_before),
        )
        .outerjoin(
            alert_state,
            (alert_state.c.cooperative_id == alert.c.cooperative_id)
            & (alert_state.c.seq == alert.c.seq)
            & (alert_state.c.account_id == account_id),
        )
    )


async def list_alerts(
    session: AsyncSession,
    *,
    cooperative_id: UUID,
    account_id: UUID,
    state: ReadState | None,
    before: int | None,
    limit: int,
) -> list[AlertRow]:
    """The alerts of a cooperative, the newest first: those before the number `before`, if given.

    `state` narrows them by what this account did with them.
    """
    statement = _alerts(account_id).where(alert.c.cooperative_id == cooperative_id)
    if before is not None:
        statement = statement.where(alert.c.seq < before)
    if state is not None:
        statement = statement.where(func.coalesce(alert_state.c.state, "unread") == state)
    rows = await session.execute(statement.order_by(alert.c.seq.desc()).limit(limit))
    return [AlertRow(row) for row in rows]


async def language_of(session: AsyncSession, cooperative_id: UUID) -> str:
    """The language in which a cooperative is written to; raises `NoSuchCooperative`."""
    language = await session.scalar(
        select(audience.c.language).where(audience.c.cooperative_id == cooperative_id)
    )
    if language is None:
        raise NoSuchCooperative(f"no cooperative {cooperative_id} is in the audience yet")
    return str(language)
