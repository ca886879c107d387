"""What a scrape asks the registry's database."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.metrics import REFUSALS, Measure, gauge

from .models import cooperative
from .usecases.failures import TooManyFailures

# A sign-in locked out: the series begins at 0, so that its first rise is seen.
REFUSALS.labels(TooManyFailures().code)


async def _register(session: AsyncSession) -> Iterable[Metric]:
    counted = select(
        func.count().label("records"), func.coalesce(func.sum(cooperative.c.version), 0)
    )
    records, versions = (await session.execute(counted)).one()
    return [
        gauge("taawon_register_cooperatives", "Cooperatives in the register.", records),
        gauge(
            "taawon_register_versions",
            "Versions of all cooperatives, added up: the audience has the same sum once it knows"
            " all of them.",
            float(versions),
        ),
    ]


MEASURES = (Measure("register", _register, every=30),)
"""It reads every row of the register, so its answer is kept longer."""
