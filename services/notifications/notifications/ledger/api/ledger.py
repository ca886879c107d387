"""The ledger of a subject: every alert with state and reason, in pages or as a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from notifications.audience.territory import Within
from notifications.fanout.queries import totals
from notifications.parameters import After, provinces_read_by
from shared.contracts.base import Id
from shared.i18n.languages import ReaderLanguage
from shared.kernel.data.database import Sessions as SessionFactory
from shared.kernel.web.csv_tables import csv_response, csv_text
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import Caller, Page, Session, Sessions, decode_cursor, encode_cursor

from .. import queries
from ..ledger_csv import HEADER, LedgerLine, cells_of, lines_of

router = APIRouter(tags=["totals"])


@router.get("/subjects/{subject_id}/ledger")
async def ledger_page(
    session: Session,
    caller: Caller,
    subject_id: Id,
    language: ReaderLanguage = "fr",
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000), PLAIN_DIGITS] = 200,
) -> Page[LedgerLine]:
    """Every alert with state and reason; then the cooperatives that match and are kept back.

    Operators see all, delegates the cooperatives that are in their provinces today.
    """
    within = provinces_read_by(caller)
    rows, place = await queries.ledger_page(
        session, subject_id, _place(after), limit, within=within
    )
    return Page(items=await lines_of(rows, language), next=_cursor(place))


@router.get(
    "/subjects/{subject_id}/ledger.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def ledger(
    session: Session,
    sessions: Sessions,
    caller: Caller,
    subject_id: Id,
    language: ReaderLanguage = "fr",
) -> StreamingResponse:
    """The same as a CSV table. It has nobody's contact."""
    within = provinces_read_by(caller)
    await totals.get_subject(session, subject_id)
    return csv_response(_lines(sessions, subject_id, language, within), f"ledger-{subject_id}")


async def _lines(
    sessions: SessionFactory, subject_id: UUID, language: str, within: Within
) -> AsyncIterator[str]:
    yield csv_text([HEADER])
    async for batch in queries.ledger_batches(sessions, subject_id, within=within):
        yield csv_text([cells_of(line) for line in await lines_of(batch, language)])


def _place(after: str | None) -> queries.Place:
    if after is None:
        return queries.Place()
    part, cooperative_id, edition = decode_cursor(after, int, UUID, int)
    start = (cooperative_id, max(-1, min(edition, 2**31 - 1)))
    return queries.Place(is_waiting=part == 1, after=start)


def _cursor(place: queries.Place | None) -> str | None:
    if place is None:
        return None
    cooperative_id, edition = place.after or (UUID(int=0), -1)
    return encode_cursor(int(place.is_waiting), str(cooperative_id), edition)
