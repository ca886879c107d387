"""`GET /sealed`: how many values are sealed with which key, by fingerprints of keys alone."""

from __future__ import annotations

from fastapi import APIRouter, Request

from shared.kernel.auth.tokens import Role
from shared.kernel.encryption.rotation import census
from shared.kernel.web.requests import Caller, Process

from .schemas import SealedOut

router = APIRouter(tags=["operations"])


@router.get("/sealed")
async def read_sealed(request: Request, process: Process, caller: Caller) -> SealedOut:
    """How many values are sealed with each key, for operators. Counted anew each time."""
    caller.require(Role.OPERATOR)
    sealer = process.sealer
    assert sealer is not None
    found = await census(process.sessions, sealer, request.app.state.spec.sealed.stores)
    return SealedOut(
        newest=sealer.newest,
        keys=sealer.fingerprints,
        stores={store: dict(counts) for store, counts in found.items()},
    )
