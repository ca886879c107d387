"""Importing a register file over HTTP, with progress as it goes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, BinaryIO
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from registry.dependencies import Seal
from shared.errors import ForeignFormat
from shared.kernel.auth.tokens import Role
from shared.kernel.web.requests import Caller, Session, Sessions

from .. import queries
from ..domain.imports import ImportState, RegisterImport
from ..past_day import PastDay
from ..register_file.decoding import lines_of
from ..usecases import imports

router = APIRouter(prefix="/imports", tags=["imports"])

MAX_BYTES_IN_MEMORY = 1024 * 1024


class NotCsv(ForeignFormat):
    """Send the file as the body, with `Content-Type: text/csv`."""


class ImportOut(BaseModel):
    """Counts of an import and the first 1,000 problems in its file.

    The problems are kept for as long as reports on persons, 30 days unless set otherwise.
    """

    import_id: UUID
    source: str
    state: ImportState
    started_at: datetime
    finished_at: datetime | None
    rows_read: int
    rows_added: int
    rows_changed: int
    rows_unchanged: int
    rows_refused: int
    events: int
    refusal: str | None
    problems: list[dict[str, str | int | None]]

    @classmethod
    def of(cls, report: RegisterImport) -> ImportOut:
        """The report of an import."""
        names = cls.model_fields.keys() - {"import_id"}
        return cls(import_id=report.id, **{name: getattr(report, name) for name in names})


async def uploaded_file(request: Request, caller: Caller) -> AsyncIterator[BinaryIO]:
    """The uploaded file, whole, so that no transaction waits for a slow sender. Operators only.

    It is closed after the response. Raises NotCsv for another type of content.
    """
    caller.require(Role.OPERATOR)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "text/csv":
        raise NotCsv
    with tempfile.SpooledTemporaryFile(max_size=MAX_BYTES_IN_MEMORY) as upload:
        async for chunk in request.stream():
            upload.write(chunk)
        upload.seek(0)
        yield upload  # type: ignore[misc]  # it reads like any binary file


Upload = Annotated[BinaryIO, Depends(uploaded_file)]


@router.post(
    "",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}},
    openapi_extra={
        "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}
    },
)
async def import_register(
    upload: Upload,
    sessions: Sessions,
    caller: Caller,
    sealer: Seal,
    source: Annotated[
        str, Query(max_length=200, pattern=r"^[^\x00]*$", description="Name of the file.")
    ] = "upload",
    as_of_on: PastDay | None = None,
) -> StreamingResponse:
    """Import a register file. Operators only.

    The response has one JSON line per batch, then a line with the report. A file that can't be read
    from the start is a 422; one that can't be read on later has that in its report.
    """
    steps = imports.import_register(
        sessions, sealer, caller, lines_of(upload), source=source, as_of_on=as_of_on
    )
    first = await anext(steps)
    return StreamingResponse(_progress_lines(first, steps), media_type="application/x-ndjson")


@router.get("/{import_id}")
async def read_import(import_id: UUID, session: Session, caller: Caller) -> ImportOut:
    """Read the report of an import. Operators only."""
    caller.require(Role.OPERATOR)
    return ImportOut.of(await queries.find_import(session, import_id))


async def _progress_lines(
    first: imports.Progress, steps: AsyncGenerator[imports.Progress]
) -> AsyncIterator[bytes]:
    step = first
    async with aclosing(steps):
        yield _progress_line(step)
        async for step in steps:
            yield _progress_line(step)
    report = ImportOut.of(step.report).model_dump(mode="json")
    yield orjson.dumps({"type": "report", "report": report}) + b"\n"


def _progress_line(step: imports.Progress) -> bytes:
    report = step.report
    return (
        orjson.dumps(
            {
                "type": "progress",
                "import_id": report.id,
                "rows_read": report.rows_read,
                "rows_refused": report.rows_refused,
                "problems": [finding.as_data() for finding in step.findings],
            }
        )
        + b"\n"
    )
