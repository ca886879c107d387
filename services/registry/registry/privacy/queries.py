"""Reads of requests of persons, and their reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.identity import models as accounts
from registry.register.models import tables
from registry.tables import Row
from shared.contracts.base import now
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.privacy.answer_parts import joined
from shared.kernel.privacy.person_requests import opened
from shared.sentences import Sentence

from . import models
from .domain.found_records import FoundRecord, RecordKind
from .domain.requests import ENDED, NoReport, NoSuchRequest, PersonRequest, RequestKind


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestWithResponses:
    """A person's request, and what each service answered: rows of its parts, once all are here."""

    request: PersonRequest
    answers: Sequence[Sequence[Row]]


async def list_requests(
    session: AsyncSession, *, is_open: bool, limit: int
) -> Sequence[PersonRequest]:
    """Requests that are not ended with the earliest last day first, or all, the newest first."""
    columns = models.person_request.c
    query = select(PersonRequest).limit(limit)
    if is_open:
        query = query.where(columns.state.not_in(sorted(ENDED))).order_by(columns.due_on)
    else:
        query = query.order_by(columns.proposed_at.desc())
    return (await session.execute(query.order_by(columns.id))).scalars().all()


async def find_request(session: AsyncSession, request_id: UUID) -> RequestWithResponses:
    """One request with the responses of services, by service. Raises NoSuchRequest."""
    request = await session.get(PersonRequest, request_id)
    if request is None:
        raise NoSuchRequest(
            Sentence("there is no person's request {request_id}", request_id=request_id)
        )
    columns = models.person_response.c
    query = select(models.person_response).where(columns.request_id == request_id)
    query = query.order_by(columns.service, columns.parts, columns.part)
    rows = [dict(row) for row in (await session.execute(query)).mappings()]
    return RequestWithResponses(request=request, answers=_whole_answers(rows))


def _whole_answers(rows: Sequence[Row]) -> list[list[Row]]:
    """The parts of each answer of which none is missing, given in order of service and part."""
    answers = [list(parts) for _, parts in groupby(rows, itemgetter("service", "parts"))]
    return [parts for parts in answers if len(parts) == parts[0]["parts"]]


async def who_holds(session: AsyncSession, sealer: Sealer, record: FoundRecord) -> dict[str, Any]:
    """What is held in a record, in clear, for whoever decides whose it is."""
    if record.kind is RecordKind.ACCOUNT:
        sealed = await session.scalar(
            select(accounts.account.c.email_sealed).where(accounts.account.c.id == record.id)
        )
        return opened(sealer, sealed)
    columns = tables.cooperative.c
    query = select(columns.name_fr, columns.name_ar, columns.contact_sealed)
    row = (await session.execute(query.where(columns.id == record.id))).one()
    return {"name": row.name_fr or row.name_ar, **opened(sealer, row.contact_sealed)}


async def compose_report(
    session: AsyncSession, sealer: Sealer, request_id: UUID, *, days: int
) -> dict[str, Any]:
    """Everything that the services hold on the person, as one document.

    Raises NoReport unless it is an access that all services answered at most `days` ago.
    """
    found = await find_request(session, request_id)
    request = found.request
    if request.kind is not RequestKind.ACCESS or request.completed_at is None:
        raise NoReport
    assert request.opened_at is not None
    expires_at = request.completed_at + timedelta(days=days)
    if expires_at < now():
        raise NoReport
    services = {parts[0]["service"]: _reported(sealer, parts) for parts in found.answers}
    return {
        "request_id": str(request.id),
        "opened_at": request.opened_at.isoformat(),
        "completed_at": request.completed_at.isoformat(),
        "expires_at": expires_at.isoformat(),
        "cooperative_ids": [str(each) for each in request.cooperative_ids],
        "account_ids": [str(each) for each in request.account_ids],
        "services": services,
    }


def _reported(sealer: Sealer, parts: Sequence[Row]) -> dict[str, Any]:
    """What a service answered, of all parts of its answer."""
    return {
        "counts": parts[0]["counts"],
        "actions": list(chain.from_iterable(part["actions"] for part in parts)),
        "records": list(chain.from_iterable(part["records"] for part in parts)),
        "held": joined(opened(sealer, part["report_sealed"]) for part in parts),
    }
