"""Reseals everything with the newest key while others go on working; it may be repeated.

Each batch is a transaction that writes only rows that still contain what was read. If the process
dies, what was renewed stays so, and the next rotation finds the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from shared.kernel import failpoints
from shared.kernel.data.database import Sessions

from .sealer import Sealer
from .stores import Batch, Census, Store

ATTEMPTS: Final = 50
PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Step:
    """The result of one batch: how many rows were read, and how many values renewed or unreadable.

    `left` rows were locked or changed by others at every attempt: run the rotation again.
    """

    store: str
    looked_at: int = 0
    renewed: int = 0
    unreadable: int = 0
    left: int = 0


async def census(
    sessions: Sessions, sealer: Sealer, stores: tuple[Store, ...]
) -> dict[str, Census]:
    """How many values each key seals, by the name of the store."""
    async with sessions() as session:
        return {store.name: await store.census(session, sealer) for store in stores}


async def rotate(sessions: Sessions, sealer: Sealer, store: Store) -> AsyncGenerator[Step]:
    """Renew one store batch by batch; rows that others held are tried again `ATTEMPTS` times."""
    missed: list[object] = []
    async for rows in store.batches(sessions):
        batch = await store.renew(sessions, rows, sealer)
        failpoints.reach(f"keys.rotate.{store.name}")
        missed += batch.missed
        yield _step(store, batch, looked_at=batch.rows)
    for _ in range(ATTEMPTS):
        if not missed:
            return
        await asyncio.sleep(PAUSE_SECONDS)
        async with sessions() as session:
            rows = await store.again(session, missed)
        batch = await store.renew(sessions, rows, sealer)
        missed = list(batch.missed)
        yield _step(store, batch)
    yield Step(store=store.name, left=len(missed))


def _step(store: Store, batch: Batch, *, looked_at: int = 0) -> Step:
    return Step(
        store=store.name,
        looked_at=looked_at,
        renewed=batch.renewed,
        unreadable=batch.unreadable,
    )
