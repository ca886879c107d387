"""Metrics that are read from the registry's database at each scrape."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from prometheus_client.core import Metric
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.business_days import today
from shared.kernel.observability.metrics.counters import REFUSALS
from shared.kernel.observability.metrics.scrape import Measure, gauge

from .identity.usecases.login_throttling import TooManyFailures
from .privacy.domain.requests import ENDED
from .privacy.models import person_request
from .register.models.tables import cooperative

DUE_SOON: Final = timedelta(days=2)
"""How long before its last day an unanswered request counts as due soon."""

# The counters of failed and of slowed sign-ins begin at 0, so that their first rise is seen.
REFUSALS.labels(TooManyFailures(timedelta()).code)
REFUSALS.labels("invalid-grant")


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


async def _persons(session: AsyncSession) -> Iterable[Metric]:
    due, day = person_request.c.due_on, today()
    soon = day + DUE_SOON
    counted = select(
        func.count().filter(due > soon),
        func.count().filter(due.between(day, soon)),
        func.count().filter(due < day),
    ).where(person_request.c.state.not_in(sorted(ENDED)))
    later, near, over = (await session.execute(counted)).one()
    return [
        gauge(
            "taawon_person_requests",
            "Requests of persons that are not confirmed, or that some service has not answered, by"
            " when the law wants it.",
            {("later",): later, ("soon",): near, ("over",): over},
            ["due"],
        )
    ]


MEASURES = (
    # It reads every row of the register, so its answer is kept longer.
    Measure("register", _register, every=30),
    Measure("persons", _persons),
)
