"""Whether the process lives, whether it is ready, and what it measures."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text

from .database import is_infrastructure
from .metrics import CONTENT_TYPE, exposed
from .operations.measures import present, scrape_of
from .web import Process

router = APIRouter(tags=["operations"])


@router.get("/healthz", status_code=204)
async def healthz() -> None:
    """The process answers."""


@router.get("/readyz")
async def readyz(process: Process) -> JSONResponse:
    """Ready means: the database answers, the reactions listen, none of them is paused."""
    checks = {"database": await _database_answers(process)}
    if process.desk is not None:
        checks["reactions"] = process.listening
        checks["not_paused"] = not process.desk.paused
    ready = all(checks.values())
    return JSONResponse({"ready": ready, "checks": checks}, status_code=200 if ready else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, process: Process) -> Response:
    """Prometheus text format. It answers, and soon, also while the database is away."""
    told = await scrape_of(request.app).families()
    return Response(exposed([*present(process), *told]), media_type=CONTENT_TYPE)


async def _database_answers(process: Process) -> bool:
    try:
        async with process.sessions() as session:
            await session.execute(text("SELECT 1"))
    except Exception as error:
        if not is_infrastructure(error):
            raise
        return False
    return True
