"""`/healthz`, `/readyz` and `/metrics`: whether the process lives, is ready, and its metrics."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text

from shared.kernel import outage_causes
from shared.kernel.data.database import is_infrastructure
from shared.kernel.observability.metrics.text import CONTENT_TYPE, exposed
from shared.kernel.outage_causes import Cause
from shared.kernel.web.requests import Process

from .db_metrics import process_metrics, scrape_of
from .status import DATABASE_SECONDS

router = APIRouter(tags=["operations"])

ANSWER_VALID_SECONDS = 1.0


@router.get("/healthz", status_code=204)
async def healthz() -> None:
    """The process is alive."""


@router.get("/readyz")
async def readyz(process: Process) -> JSONResponse:
    """Whether the database answers within 2 seconds, the consumers consume, and none is paused.

    For each check that fails, `causes` says why, where that is known, and what to do.
    """
    away = await _why_database_is_away(process)
    checks, why = {"database": away is None}, {"database": away}
    if process.processor is not None:
        checks |= {"consumers": process.consuming, "not_paused": not process.processor.paused}
        why |= {"consumers": process.not_consuming_because, "not_paused": process.processor.cause}
    causes = {name: str(cause) for name, cause in why.items() if cause is not None}
    ready = all(checks.values())
    return JSONResponse(
        {"ready": ready, "checks": checks, "causes": causes}, status_code=200 if ready else 503
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, process: Process) -> Response:
    """All metrics in the text format of Prometheus; in time even while the database is away."""
    families = await scrape_of(request.app).families()
    return Response(exposed([*process_metrics(process), *families]), media_type=CONTENT_TYPE)


async def _why_database_is_away(process: Process) -> Cause | None:
    """Anybody may call this, so the database is asked by one task at a time, and while it answers
    at most once a second.
    """
    try:
        async with asyncio.timeout(DATABASE_SECONDS), process.database_check_lock:
            if time.monotonic() - process.database_answered_at < ANSWER_VALID_SECONDS:
                return None
            async with process.sessions() as session:
                await session.execute(text("SELECT 1"))
            process.database_answered_at = time.monotonic()
    except Exception as error:
        if not is_infrastructure(error):
            raise
        return outage_causes.of_database(error)
    return None
