"""Importing a register file over HTTP: received whole, then imported by a task of the service."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, BinaryIO
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from registry.dependencies import Seal
from shared.contracts.base import Id, WithoutControls
from shared.errors import ForeignFormat
from shared.kernel.auth.tokens import Role
from shared.kernel.web import languages
from shared.kernel.web.create_requests import Key, OnceOnly, first_time
from shared.kernel.web.requests import Caller, Session, Sessions

from .. import queries
from ..domain.imports import ImportState, RegisterImport
from ..past_day import PastDay
from ..register_file.decoding import lines_of
from ..usecases import imports
from ..usecases.background_imports import BackgroundImports

router = APIRouter(prefix="/imports", tags=["imports"])

MAX_BYTES_IN_MEMORY = 1024 * 1024


class NotCsv(ForeignFormat):
    """Send the file as the body, with `Content-Type: text/csv`."""


class ImportOut(BaseModel):
    """State and counts of an import, and the first 1,000 of `problems_total` problems in its file.

    `refusal` says why an import was refused or failed; `header` of a problem is its column as the
    file calls it. Both are said in the language that `Accept-Language` prefers, or in English. The
    problems are kept for as long as reports on persons, 30 days unless set otherwise.
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
    problems_total: int
    problems: list[dict[str, str | int | None]]

    @classmethod
    def of(cls, report: RegisterImport) -> ImportOut:
        """The report of an import."""
        names = cls.model_fields.keys() - {"import_id"}
        values = {name: getattr(report, name) for name in names}
        return cls(import_id=report.id, **languages.say_all(values))


@dataclass(frozen=True)
class Upload:
    """An uploaded file with its SHA-256.

    `owner` closes it after the response, unless somebody takes it over.
    """

    file: BinaryIO
    owner: ExitStack
    digest: bytes


async def uploaded_file(request: Request, caller: Caller) -> AsyncIterator[Upload]:
    """The uploaded file, whole, so that no transaction waits for a slow sender. Operators only.

    Raises NotCsv for another type of content.
    """
    caller.require(Role.OPERATOR)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "text/csv":
        raise NotCsv
    with ExitStack() as owner:
        file = owner.enter_context(tempfile.SpooledTemporaryFile(max_size=MAX_BYTES_IN_MEMORY))
        digest = sha256()
        async for chunk in request.stream():
            file.write(chunk)
            digest.update(chunk)
        file.seek(0)
        # It reads like any binary file.
        yield Upload(file, owner, digest.digest())  # type: ignore[arg-type]


WholeUpload = Annotated[Upload, Depends(uploaded_file)]


async def upload_once(
    request: Request, upload: WholeUpload, session: Session, caller: Caller, key: Key
) -> OnceOnly:
    """Let a file in that comes for the first time with this key; the session holds the key's lock
    until the import has begun.
    """
    return await first_time(request, session, caller, key, upload.digest)


def background_imports(request: Request) -> BackgroundImports:
    """The imports that this process runs."""
    found: BackgroundImports = request.app.state.imports
    return found


@router.post(
    "",
    status_code=202,
    openapi_extra={
        "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}
    },
)
async def import_register(
    upload: WholeUpload,
    once: Annotated[OnceOnly, Depends(upload_once)],
    running: Annotated[BackgroundImports, Depends(background_imports)],
    sessions: Sessions,
    caller: Caller,
    sealer: Seal,
    response: Response,
    source: Annotated[
        str, Query(max_length=200, description="Name of the file."), WithoutControls
    ] = "upload",
    as_of_on: PastDay | None = None,
) -> ImportOut:
    """Start the import of a register file. Operators only.

    The response names the import and does not wait for it: read `Location` until its state is no
    longer `running`. A file that can't be read from the start is a 422; one that can't be read on
    later has that in its report.
    """

    def keep_answer(session: AsyncSession, report: RegisterImport) -> None:
        location = f"/imports/{report.id}"
        once.within(session).answer(ImportOut.of(report), response, location=location)

    steps = imports.import_register(
        sessions,
        sealer,
        caller,
        lines_of(upload.file),
        source=source,
        as_of_on=as_of_on,
        on_start=keep_answer,
    )
    return ImportOut.of(await running.start(steps, upload.owner.pop_all()))


@router.get("/{import_id}")
async def read_import(
    import_id: Id, session: Session, caller: Caller, response: Response
) -> ImportOut:
    """Read the report of an import; its counts grow while it runs. Operators only."""
    caller.require(Role.OPERATOR)
    languages.mark(response)
    return ImportOut.of(await queries.find_import(session, import_id))
