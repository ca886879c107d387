"""`GET /sealed`: how many values rest under which key; fingerprints only, never key or value."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from shared.auth import Role
from shared.sealing import census, holdings_of
from shared.web import Caller, Process

router = APIRouter(tags=["operations"])


class SealedOut(BaseModel):
    """Counts by place and by fingerprint of a key; `unreadable` are those that no key opens."""

    newest: str
    keys: list[str]
    places: dict[str, dict[str, int]]


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
