"""The ledger of an event as a table that a spreadsheet opens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from shared.auth import Role
from shared.database import Sessions as SessionFactory
from shared.web import Caller, Session, Sessions

from .. import queries
from .tables import csv_answer, csv_text

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
    return csv_answer(_lines(sessions, subject_id), f"ledger-{subject_id}")


async def _lines(sessions: SessionFactory, subject_id: UUID) -> AsyncIterator[str]:
    yield csv_text([HEADER])
    async for batch in queries.ledger_batches(sessions, subject_id):
        yield csv_text([_cells(row) for row in batch])


def _cells(row: queries.LedgerRow) -> tuple[object, ...]:
    values: dict[str, object] = {
        **vars(row),
        "unknown_fields": " ".join(row.unknown_fields),
        "told_at": row.told_at.isoformat(),
    }
    return tuple(values[name] for name in HEADER)
