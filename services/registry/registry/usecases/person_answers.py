"""What the services answer a person, and how long their reports are kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from registry.domain import NoSuchRequest, PersonRequest, RequestKind
from shared.contracts.base import now
from shared.contracts.persons import PersonAnswered


async def note_answer(session: AsyncSession, answer: PersonAnswered) -> None:
    """Keep what a service answered; a repeat changes nothing."""
    request = await session.get(PersonRequest, answer.request_id, with_for_update=True)
    if request is None:
        raise NoSuchRequest
    table = models.person_answer
    report = answer.report_sealed if await _may_keep(session, request) else None
    kept = await session.scalar(
        insert(table)
        .values(
            request_id=request.id,
            service=answer.service(),
            answered_at=answer.occurred_at,
            counts=answer.counts,
            actions=[action.model_dump(mode="json") for action in answer.actions],
            records=[record.model_dump(mode="json") for record in answer.records],
            report_sealed=report,
        )
        .on_conflict_do_nothing(index_elements=[table.c.request_id, table.c.service])
        .returning(table.c.id)
    )
    if kept is not None:
        request.note_answer(answer.service(), at=now())


async def _may_keep(session: AsyncSession, request: PersonRequest) -> bool:
    """A report that comes after the person was forgotten or corrected is not kept."""
    later = select(models.person_request.c.id).where(
        _about_the_same(request),
        models.person_request.c.opened_at >= request.opened_at,
        models.person_request.c.kind != RequestKind.ACCESS,
    )
    return await session.scalar(later.limit(1)) is None


def _about_the_same(request: PersonRequest) -> Any:
    columns = models.person_request.c
    return columns.cooperative_ids.overlap(request.cooperative_ids) | columns.account_ids.overlap(
        request.account_ids
    )


async def drop_reports_about(
    session: AsyncSession, cooperative_ids: Iterable[UUID], account_ids: Iterable[UUID]
) -> int:
    """Reports made before the person was forgotten or corrected."""
    requests, answers = models.person_request, models.person_answer
    theirs = select(requests.c.id).where(
        requests.c.cooperative_ids.overlap(list(cooperative_ids))
        | requests.c.account_ids.overlap(list(account_ids))
    )
    dropped = await session.execute(
        update(answers)
        .where(answers.c.request_id.in_(theirs), answers.c.report_sealed.is_not(None))
        .values(report_sealed=None, actions=[], records=[])
    )
    return int(dropped.rowcount)  # type: ignore[attr-defined]  # a cursor's


async def forget_reports(session: AsyncSession, days: int) -> int:
    """Reports of requests that were completed so many days ago."""
    requests, answers = models.person_request, models.person_answer
    until = func.now() - timedelta(days=days)
    old = select(requests.c.id).where(requests.c.completed_at < until)
    dropped = await session.execute(
        update(answers)
        .where(answers.c.request_id.in_(old))
        .where(answers.c.report_sealed.is_not(None) | (answers.c.actions != []))
        .values(report_sealed=None, actions=[], records=[])
    )
    return int(dropped.rowcount)  # type: ignore[attr-defined]  # a cursor's
