"""`GET /`: which service answers here, and where to go on."""

from __future__ import annotations

from fastapi import APIRouter

from shared.kernel.web.requests import Process

from .schemas import Index
from .status_sql import program_version

router = APIRouter(tags=["operations"])

LINKS = {"alive": "/healthz", "ready": "/readyz", "status": "/status"}


@router.get("/")
async def read_index(process: Process) -> Index:
    """Name and version of the service, and paths that say how it is."""
    service = process.settings.service
    return Index(service=service, version=program_version(service), links=LINKS)
