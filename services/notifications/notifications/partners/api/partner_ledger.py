"""The ledger of a partner: what it was sent, by which channel and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from notifications.parameters import After
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import Sessions as SessionFactory
from shared.kernel.web.csv_tables import csv_response, csv_text
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import Caller, Page, Session, Sessions, decode_cursor, encode_cursor

from ..partner_ledger_csv import HEADER, cells_of
from ..queries.partner_ledger import partner_batches, partner_entries, require_partner

router = APIRouter(tags=["partners"])

Slug = Annotated[str, Path(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]


class NotYourLedger(Forbidden):
    """Only its own institution and operators may read a ledger."""


class ChannelDeliveryOut(BaseModel):
    """How an event went out by one channel: `times` times for sure, always under the same event id.

    `unsure` counts attempts that began and whose outcome was not noted, as when a process died:
    each may have brought the event once more. `first_at` is null until the first sure one.
    """

    model_config = ConfigDict(from_attributes=True)

    channel: str
    first_at: datetime | None
    last_at: datetime | None
    times: int
    unsure: int


class GapOut(BaseModel):
    """A run of positions that your queue lacks, for one reason.

    The queue was full (`maxlen`), they were too old (`expired`), you refused them (`rejected`) or
    failed them too often (`delivery_limit`); or the feed was trimmed before they were sent
    (`trimmed`). The gap is closed once they went out again: to the queue (`replay`) or as a page of
    the feed (`feed`).
    """

    model_config = ConfigDict(from_attributes=True)

    first_position: int
    last_position: int
    reason: str
    noticed_at: datetime
    closed_at: datetime | None
    closed_by: str | None


class PartnerEntryOut(BaseModel):
    """One event of the feed, with the channels by which it went out."""

    model_config = ConfigDict(from_attributes=True)

    position: int
    event_id: UUID
    topic: str
    subject_id: UUID | None
    recorded_at: datetime
    subscriptions: list[UUID] = Field(description="Those that accepted it when it was recorded.")
    channels: list[ChannelDeliveryOut]
    gap: GapOut | None


CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}


@router.get("/partners/{slug}/ledger")
async def partner_ledger(
    session: Session,
    caller: Caller,
    slug: Slug,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000), PLAIN_DIGITS] = 200,
) -> Page[PartnerEntryOut]:
    """Every event of a partner's feed with channels and times; for the partner and operators."""
    start = decode_cursor(after, int)[0] if after else 0
    await _require_ledger(session, caller, slug, after=start)
    found = await partner_entries(session, slug, after=start, limit=limit + 1)
    items = [PartnerEntryOut.model_validate(entry) for entry in found[:limit]]
    more = len(found) > limit
    return Page(items=items, next=encode_cursor(items[-1].position) if more else None)


@router.get("/partners/{slug}/ledger.csv", response_class=StreamingResponse, responses=CSV)
async def partner_ledger_csv(
    session: Session, sessions: Sessions, caller: Caller, slug: Slug
) -> StreamingResponse:
    """The same as a CSV table, one row per event."""
    await _require_ledger(session, caller, slug)
    return csv_response(_lines(sessions, slug), f"ledger-{slug}")


async def _require_ledger(
    session: Session, caller: Principal, slug: str, *, after: int = 0
) -> None:
    own = Role.PARTNER in caller.roles and caller.partner == slug
    if not own and Role.OPERATOR not in caller.roles:
        raise NotYourLedger
    await require_partner(session, slug, after=after)


async def _lines(sessions: SessionFactory, slug: str) -> AsyncIterator[str]:
    yield csv_text([HEADER])
    async for batch in partner_batches(sessions, slug):
        yield csv_text([cells_of(entry) for entry in batch])
