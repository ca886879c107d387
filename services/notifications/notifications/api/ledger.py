"""The ledger of an event as a table that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from shared.auth import Role
from shared.database import Sessions as SessionFactory
from shared.web import Caller, Session, Sessions

from .. import queries

router = APIRouter(tags=["totals"])

HEADER = (
    "cooperative_id",
    "name_fr",
    "region",
    "province",
    "sector",
    "edition",
    "kind",
    "verdict",
    "unknown_fields",
    "subject_version",
    "told_at",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet run a cell instead of showing it."""


@router.get(
    "/subjects/{subject_id}/ledger.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def ledger(
    session: Session, sessions: Sessions, caller: Caller, subject_id: UUID
) -> StreamingResponse:
    """Operators only: one line per alert, first ones and corrections, with nobody's contact."""
    caller.require(Role.OPERATOR)
    await queries.get_subject(session, subject_id)
    return StreamingResponse(
        _lines(sessions, subject_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="ledger-{subject_id}.csv"'},
    )


async def _lines(sessions: SessionFactory, subject_id: UUID) -> AsyncIterator[str]:
    yield _text([HEADER])
    async for batch in queries.ledger_batches(sessions, subject_id):
        yield _text([_cells(row) for row in batch])


def _cells(row: queries.LedgerRow) -> tuple[str, ...]:
    values = {
        **vars(row),
        "unknown_fields": " ".join(row.unknown_fields),
        "told_at": row.told_at.isoformat(),
    }
    return tuple(_cell(values[name]) for name in HEADER)


def _cell(value: object) -> str:
    """The value as text; an apostrophe keeps what looks like a formula from being one."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _text(rows: Sequence[Sequence[str]]) -> str:
    page = io.StringIO()
    csv.writer(page).writerows(rows)
    return page.getvalue()
