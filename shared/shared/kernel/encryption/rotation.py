"""Brings everything under the newest key while others go on working; a repeat finds little to do.

Each batch is a transaction that writes only rows that still say what was read. If the process dies,
what was renewed stays so and the rest is found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from shared.kernel import failpoints
from shared.kernel.data.database import Sessions

from .sealer import Sealer
from .stores import Batch, Census, Place

ATTEMPTS: Final = 50
PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Step:
    """After one batch: how many rows of the place were looked at, and what came of them.

    `left` were held by others all the time: run the rotation again.
    """

    place: str
    looked_at: int = 0
    renewed: int = 0
    unreadable: int = 0
    left: int = 0


async def census(
    sessions: Sessions, sealer: Sealer, places: tuple[Place, ...]
) -> dict[str, Census]:
    """How many values of each place rest under which key."""
    found: dict[str, Census] = {}
    for place in places:
        counts = found.setdefault(place.name, Census())
        async for rows in place.batches(sessions):
            counts += await asyncio.to_thread(place.count, rows, sealer)
        found[place.name] = counts
    return found


async def rotate(sessions: Sessions, sealer: Sealer, place: Place) -> AsyncGenerator[Step]:
    """Renew one place, batch by batch."""
    missed: list[object] = []
    async for rows in place.batches(sessions):
        batch = await place.renew(sessions, rows, sealer)
        failpoints.reach(f"keys.rotate.{place.name}")
        missed += batch.missed
        yield _step(place, batch, looked_at=batch.rows)
    for _ in range(ATTEMPTS):
        if not missed:
            return
        await asyncio.sleep(PAUSE_SECONDS)
        async with sessions() as session:
            rows = await place.again(session, missed)
        batch = await place.renew(sessions, rows, sealer)
        missed = list(batch.missed)
        yield _step(place, batch)
    yield Step(place=place.name, left=len(missed))


def _step(place: Place, batch: Batch, *, looked_at: int = 0) -> Step:
    return Step(
        place=place.name,
        looked_at=looked_at,
        renewed=batch.renewed,
        unreadable=batch.unreadable,
    )
