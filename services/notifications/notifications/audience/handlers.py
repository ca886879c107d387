"""Consumers that store the register's records in the audience."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from shared.contracts.registry import (
    CooperativeChanged,
    CooperativeRegistered,
    CooperativesImported,
)
from shared.kernel.messaging.consumers import Consumers

from . import usecases

consumers = Consumers("notifications")
AUDIENCE = ("audience", "audience_history", "audience_change", "audience_rebuild")


@consumers.on(
    CooperativesImported, prefetch=2, projection=AUDIENCE, queue="store_imported_cooperatives"
)
async def store_imported_cooperatives(event: CooperativesImported, session: AsyncSession) -> None:
    """The audience follows the register, batch by batch; a snapshot may fill it anew."""
    if event.remaining is not None:
        await usecases.note_snapshot(session, event.remaining)
    await usecases.store_cooperatives(session, event.cooperatives)
    metrics.observe_audience_delay(session, event.occurred_at)


@consumers.on(
    CooperativeRegistered,
    CooperativeChanged,
    prefetch=4,
    projection=AUDIENCE,
    queue="store_cooperative",
)
async def store_cooperative(
    event: CooperativeRegistered | CooperativeChanged, session: AsyncSession
) -> None:
    """The audience follows the register, record by record."""
    await usecases.store_cooperatives(session, [event.cooperative])
    metrics.observe_audience_delay(session, event.occurred_at)
