"""What services answer to requests of persons, and how long their reports are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import now
from shared.contracts.persons import PersonAnswered, PersonRequested

from .. import models
from ..domain.requests import NoSuchRequest, PersonRequest, RequestKind

NO_REPORT: Final[dict[str, Any]] = {"actions": [], "records": [], "report_sealed": None}
"""The columns of a response whose report was deleted; its counts stay."""


async def record_response(session: AsyncSession, answer: PersonAnswered) -> None:
    """Store what a service answered; a repeat changes nothing. Raises NoSuchRequest.

    A service has answered once all parts of its answer are here, in whatever order they came. The
    answer of the last service completes the request.
    """
    request = await session.get(PersonRequest, answer.request_id, with_for_update=True)
    if request is None:
        raise NoSuchRequest
    if not request.waits_for(answer.service()):
        return
    await _store(session, request, answer)
    if await _is_whole(session, answer):
        request.record_response(answer.service(), at=now())


async def _store(session: AsyncSession, request: PersonRequest, answer: PersonAnswered) -> None:
    report = _report_of(answer) if await _may_store(session, request) else NO_REPORT
    row = insert(models.person_response).values(
        request_id=request.id,
        service=answer.service(),
        part=answer.part,
        parts=answer.parts,
        answered_at=answer.occurred_at,
        counts=answer.counts,
        **report,
    )
    await session.execute(row.on_conflict_do_nothing())


async def _is_whole(session: AsyncSession, answer: PersonAnswered) -> bool:
    """Whether all parts of this answer are stored; the lock on the request lets one be the last."""
    columns = models.person_response.c
    stored = select(func.count()).where(
        columns.request_id == answer.request_id,
        columns.service == answer.service(),
        columns.parts == answer.parts,
    )
    return await session.scalar(stored) == answer.parts


def _report_of(answer: PersonAnswered) -> dict[str, Any]:
    """What of an answer the person may be given: actions, records and the sealed report."""
    return {
        "actions": [action.model_dump(mode="json") for action in answer.actions],
        "records": [record.model_dump(mode="json") for record in answer.records],
        "report_sealed": answer.report_sealed,
    }


async def _may_store(session: AsyncSession, request: PersonRequest) -> bool:
    """A report that comes after the person was erased or corrected is not stored."""
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


async def delete_reports_before(session: AsyncSession, event: PersonRequested) -> int:
    """Delete reports that were requested before the person was erased or corrected.

    Newer ones are right and stay. Returns how many were deleted.
    """
    requests = models.person_request
    theirs = select(requests.c.id).where(
        requests.c.cooperative_ids.overlap(list(event.cooperative_ids))
        | requests.c.account_ids.overlap(list(event.account_ids)),
        requests.c.opened_at <= event.occurred_at,
    )
    return await _delete(session, theirs)


async def delete_reports(session: AsyncSession, days: int) -> int:
    """Delete the reports of requests that were completed more than `days` ago; returns how many."""
    requests = models.person_request
    until = func.now() - timedelta(days=days)
    return await _delete(session, select(requests.c.id).where(requests.c.completed_at < until))


async def _delete(session: AsyncSession, requests: Select[UUID]) -> int:
    answers = models.person_response
    reports = or_(*(answers.c[name] != value for name, value in NO_REPORT.items()))
    deleted = await session.execute(
        update(answers).where(answers.c.request_id.in_(requests), reports).values(NO_REPORT)
    )
    return int(deleted.rowcount)  # type: ignore[attr-defined]  # a cursor's
