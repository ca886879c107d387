"""The kernel's metrics, which every service has: outbox, dead letters, consumers, build."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from fastapi import FastAPI
from prometheus_client.core import InfoMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.observability.metrics.scrape import Measure, Scrape, gauge
from shared.kernel.runtime import Runtime

from .status_sql import OUTBOX, one_row, program_version, revision_of

DEAD_LETTERS_SQL = text(
    "SELECT queue, state, count(*) AS dead_letters FROM dead_letter GROUP BY queue, state"
)


def scrape_of(app: FastAPI) -> Scrape:
    """The one scrape of an application, with the measures of the kernel and of the service."""
    found = getattr(app.state, "scrape", None)
    if found is None:
        measures = (*kernel_measures(app), *app.state.spec.measures)
        found = app.state.scrape = Scrape(lambda: app.state.runtime.sessions, measures)
    assert isinstance(found, Scrape)
    return found


def kernel_measures(app: FastAPI) -> tuple[Measure, ...]:
    """What the kernel asks the database of every service at a scrape."""

    async def dead_letters(session: AsyncSession) -> Iterable[Metric]:
        runtime: Runtime = app.state.runtime
        return [await _dead_letters(session, runtime.queues)]

    async def schema(session: AsyncSession) -> Iterable[Metric]:
        runtime: Runtime = app.state.runtime
        return [await _build(session, runtime.settings.service)]

    return (
        Measure("outbox", _outbox),
        Measure("dead_letters", dead_letters),
        Measure("schema", schema, every=30),
    )


async def _outbox(session: AsyncSession) -> Iterable[Metric]:
    found = await one_row(session, OUTBOX)
    return [
        gauge("taawon_outbox_pending", "Events that have not left yet.", found.pending),
        gauge(
            "taawon_outbox_quarantined",
            "Events quarantined because they can't be sent.",
            found.quarantined,
        ),
        gauge(
            "taawon_outbox_oldest_age_seconds",
            "Age of the oldest event that has not left yet; 0 where none waits.",
            float(found.oldest),
        ),
    ]


async def _dead_letters(session: AsyncSession, queues: Sequence[str]) -> Metric:
    values = {(queue, "dead"): 0.0 for queue in queues}
    for row in await session.execute(DEAD_LETTERS_SQL):
        values[row.queue, row.state] = float(row.dead_letters)
    help_text = "Messages that a consumer gave up on, by what a person decided; dead: nothing yet."
    return gauge("taawon_dead_letters", help_text, values, ["queue", "state"])


async def _build(session: AsyncSession, service: str) -> Metric:
    family = InfoMetricFamily("taawon_build", "What runs here, and on which schema.")
    family.add_metric(
        [],
        {
            "version": program_version(service),
            "python": platform.python_version(),
            "revision": await revision_of(session) or "",
        },
    )
    return family


def process_metrics(runtime: Runtime) -> list[Metric]:
    """What the process knows without asking its database."""
    waiting = runtime.processor.waiting if runtime.processor is not None else 0
    return [
        gauge(
            "taawon_consumers_running",
            "1 where the consumers of this process consume from their queues.",
            float(runtime.consuming),
        ),
        gauge(
            "taawon_deliveries_paused",
            "Messages held while something that they need is away; above 0 consumers pause.",
            float(waiting),
        ),
    ]
