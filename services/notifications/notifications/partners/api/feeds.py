"""The numbered feed of a partner institution."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from shared.errors import Gone
from shared.kernel.data.database import AnyRow
from shared.kernel.messaging import wire
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import Caller, Session
from shared.sentences import Sentence

from ..domain.positions import refuse_beyond_end
from ..queries import partner_ledger, partners
from ..usecases.delivery_records import record_page_read
from ..usecases.partners import partner_of
from .partner_ledger import GapOut

router = APIRouter(tags=["partners"])


class NotKeptAnyMore(Gone):
    """The feed does not go back that far any more: leave `after` out to start with the oldest."""


class FeedItem(BaseModel):
    """A CloudEvent with its number in your feed."""

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    time: datetime
    sequence: str
    data: dict[str, Any]


class FeedOut(BaseModel):
    """One page of your feed."""

    items: list[FeedItem]
    next: str = Field(description="Pass it as `after` next time, also when `items` is empty.")
    gaps: list[GapOut] = Field(description="Which of these events your queue dropped.")


@router.get("/feed")
async def read_feed(
    session: Session,
    caller: Caller,
    after: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000), PLAIN_DIGITS] = 100,
) -> FeedOut:
    """Your events after a position, in order. Whoever has seen n has seen all before n.

    Without a position it begins with the oldest that is kept; a position before that one is
    answered with 410, which names it, and one beyond the end with 422, which names the last.
    """
    slug = partner_of(caller)
    # Read before the entries: one that comes between the two reads must not make the feed look
    # trimmed.
    last_known = await partners.last_position(session, slug)
    refuse_beyond_end(int(after or 0), last_known)
    rows = await partners.read_feed(session, slug, after=int(after or 0), limit=limit)
    oldest = rows[0].position if rows else last_known + 1
    if after is not None:
        _require_kept(int(after), oldest)
    if not rows:
        return FeedOut(items=[], next=after or str(oldest - 1), gaps=[])
    first, last = rows[0].position, rows[-1].position
    await record_page_read(session, slug, first, last)
    gaps = await partner_ledger.gaps_of(session, slug, first=first, last=last, only_open=False)
    return FeedOut(
        items=[_item(row) for row in rows],
        next=str(last),
        gaps=[GapOut.model_validate(gap) for gap in gaps],
    )


def _require_kept(after: int, oldest: int) -> None:
    if after + 1 < oldest:
        raise NotKeptAnyMore(
            Sentence(
                "positions up to {gone} are not kept any more; the oldest is {oldest}: read on"
                " with after={gone}",
                gone=oldest - 1,
                oldest=oldest,
            ),
            field="after",
        )


def _item(row: AnyRow) -> FeedItem:
    return FeedItem(
        id=row.event_id,
        source=f"{wire.SOURCE}/notifications",
        type=row.topic,
        time=row.occurred_at,
        sequence=str(row.position),
        data=orjson.loads(row.body),
    )
