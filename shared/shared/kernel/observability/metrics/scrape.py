"""Metrics from the database: read at a scrape, within a time limit, and kept for some seconds.

A scrape does not fail while the database is away: its metrics are left out, and
`taawon_database_up` is 0.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.database import Sessions, is_infrastructure

log = structlog.get_logger()

TIMEOUT = 2.0
STATEMENT_TIMEOUT = text("SET LOCAL statement_timeout = 1500")

Values = Mapping[Any, float] | float
"""Numbers by tuples of label values, or one number."""


def gauge(name: str, help_text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """A gauge with these values: by label values, or one number where there are no labels."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    pairs = values.items() if isinstance(values, Mapping) else [((), values)]
    for key, value in pairs:
        family.add_metric(list(key), value)
    return family


@dataclass(frozen=True)
class Measure:
    """A cheap query of the database that gives metrics, kept for `every` seconds."""

    name: str
    ask: Callable[[AsyncSession], Awaitable[Iterable[Metric]]]
    every: float = 5.0


@dataclass
class _Result:
    at: float
    families: Sequence[Metric]
    is_away: bool = False
    is_failed: bool = False


@dataclass
class Scrape:
    """The measures of one process and their last results, which simultaneous scrapes share.

    All measures together take at most `timeout` seconds.
    """

    sessions: Callable[[], Sessions]
    measures: Sequence[Measure]
    timeout: float = TIMEOUT
    clock: Callable[[], float] = time.monotonic
    _results: dict[str, _Result] = field(default_factory=dict, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def families(self) -> list[Metric]:
        """The metrics of all measures, read again where stale, and which measures failed."""
        async with self._lock:
            await self._read_stale()
            results = dict(self._results)
        found = [family for result in results.values() for family in result.families]
        return [*found, *_success(results)]

    async def _read_stale(self) -> None:
        stale = [m for m in self.measures if self._is_stale(m)]
        deadline = self.clock() + self.timeout
        for measure in stale:
            self._results[measure.name] = await self._read(measure, deadline)

    def _is_stale(self, measure: Measure) -> bool:
        known = self._results.get(measure.name)
        if known is None:
            return True
        # A measure that failed is read again soon, so that the gap does not outlast its cause.
        lasting = 1.0 if known.is_failed else measure.every
        return self.clock() - known.at >= lasting

    async def _read(self, measure: Measure, deadline: float) -> _Result:
        try:
            async with asyncio.timeout(max(deadline - self.clock(), 0)):
                async with self.sessions()() as session:
                    await session.execute(STATEMENT_TIMEOUT)
                    return _Result(self.clock(), list(await measure.ask(session)))
        except Exception as error:
            away = is_infrastructure(error)
            if not away:
                log.warning("not measured", measure=measure.name, error=type(error).__name__)
            return _Result(self.clock(), (), is_away=away, is_failed=True)


def _success(results: Mapping[str, _Result]) -> list[Metric]:
    up = not any(result.is_away for result in results.values())
    measured = {(name,): float(not result.is_failed) for name, result in results.items()}
    return [
        gauge(
            "taawon_database_up", "1 where the database answered this scrape in time.", float(up)
        ),
        gauge(
            "taawon_measured",
            "1 where the database answered this measure; 0: its metrics are missing.",
            measured,
            ["measure"],
        ),
    ]
