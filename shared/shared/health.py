"""Whether the process lives, whether it is ready, and what it measures."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from .database import is_infrastructure
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


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _database_answers(process: Process) -> bool:
    try:
        async with process.sessions() as session:
            await session.execute(text("SELECT 1"))
    except Exception as error:
        if not is_infrastructure(error):
            raise
        return False
    return True
