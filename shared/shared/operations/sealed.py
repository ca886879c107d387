"""`GET /sealed`: how many values rest under which key; fingerprints only, never key or value."""

from __future__ import annotations

from fastapi import APIRouter

from shared.auth import Role
from shared.sealing import census, holdings_of
from shared.web import Caller, Process

from .told import SealedOut

router = APIRouter(tags=["operations"])


@router.get("/sealed")
async def read_sealed(process: Process, caller: Caller) -> SealedOut:
    """Under which keys sealed values rest, for operators. Counted anew each time."""
    caller.require(Role.OPERATOR)
    sealer = process.sealer
    assert sealer is not None
    places = holdings_of(process.settings.service).places
    found = await census(process.sessions, sealer, places)
    return SealedOut(
        newest=sealer.newest,
        keys=sealer.fingerprints,
        places={place: dict(counts) for place, counts in found.items()},
    )
