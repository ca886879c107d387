"""`GET /audit/{record_id}`: who changed a record, when, and what it was before and after."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import Id
from shared.contracts.registry import partner_id_of
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.audit import Owner, OwnerOf
from shared.kernel.data.tables import AuditRow
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import Caller, Page, Session, decode_cursor, encode_cursor

router = APIRouter(tags=["operations"])
log = structlog.get_logger()


class NotYourRecord(Forbidden):
    """The audit of a record is read by its owner, by operators, and by delegates of its provinces.

    Unknown records are refused the same way.
    """


class Change(BaseModel):
    """One change of a record. Without an actor the system made it by itself.

    `on_behalf_of` is the cooperative that it was made for.
    """

    model_config = ConfigDict(from_attributes=True)

    number: int = Field(validation_alias="id")
    at: datetime
    actor_id: UUID | None
    actor_roles: list[str]
    on_behalf_of: UUID | None
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str


@router.get("/audit/{record_id}")
async def read_audit(
    request: Request,
    session: Session,
    caller: Caller,
    record_id: Id,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> Page[Change]:
    """The changes of one record, newest first. Each read is logged.

    A record is found by its own id. What a partner did to its queue and feed is found by the
    `partner_id` that `GET /partners/{slug}` of the registry returns; a rotation of signing keys, in
    the registry, by the id of the new key.
    """
    await _require_owner(request.app.state.spec.owner_of, session, caller, record_id)
    query = select(AuditRow).where(AuditRow.subject_id == record_id)
    if after is not None:
        query = query.where(AuditRow.id < decode_cursor(after, int)[0])
    rows = (await session.scalars(query.order_by(AuditRow.id.desc()).limit(limit + 1))).all()
    log.info("audit read", record_id=str(record_id), rows=min(len(rows), limit))
    return Page(
        items=[Change.model_validate(row) for row in rows[:limit]],
        next=encode_cursor(rows[limit - 1].id) if len(rows) > limit else None,
    )


async def _require_owner(
    owner_of: OwnerOf, session: AsyncSession, caller: Principal, record_id: UUID
) -> None:
    if caller.has(Role.OPERATOR) or record_id in caller.identities:
        return
    if caller.partner is not None and record_id == partner_id_of(caller.partner):
        return
    owner = await owner_of(session, record_id) or Owner()
    if not owner.admits(caller):
        raise NotYourRecord
