"""What only the database knows: asked at a scrape, bounded in time, kept for some seconds.

A scrape never fails for the database being away: what it would have reported is left out then, and
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
"""By a tuple of label values, or one number."""


def gauge(name: str, help_text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
    """A gauge as it is now; `values` by label values, or one number where there are no labels."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    pairs = values.items() if isinstance(values, Mapping) else [((), values)]
    for key, value in pairs:
        family.add_metric(list(key), value)
    return family


@dataclass(frozen=True)
class Measure:
    """One cheap question to the database. `every`: seconds for which the answer is kept."""

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
    """The measures of one process and their last answers; scrapes at the same time share them."""

    sessions: Callable[[], Sessions]
    measures: Sequence[Measure]
    timeout: float = TIMEOUT
    clock: Callable[[], float] = time.monotonic
    _answers: dict[str, _Result] = field(default_factory=dict, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def families(self) -> list[Metric]:
        """Every family that the database reported just now or a moment ago, and whether it did."""
        async with self._lock:
            await self._ask_again()
            answers = dict(self._answers)
        found = [family for answer in answers.values() for family in answer.families]
        return [*found, *_said(answers)]

    async def _ask_again(self) -> None:
        stale = [m for m in self.measures if self._is_stale(m)]
        deadline = self.clock() + self.timeout
        for measure in stale:
            self._answers[measure.name] = await self._answer(measure, deadline)

    def _is_stale(self, measure: Measure) -> bool:
        known = self._answers.get(measure.name)
        if known is None:
            return True
        # What failed is asked again at once: a gap should not outlast its cause.
        lasting = 1.0 if known.is_failed else measure.every
        return self.clock() - known.at >= lasting

    async def _answer(self, measure: Measure, deadline: float) -> _Result:
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


def _said(answers: Mapping[str, _Result]) -> list[Metric]:
    up = not any(answer.is_away for answer in answers.values())
    measured = {(name,): float(not answer.is_failed) for name, answer in answers.items()}
    return [
        gauge(
            "taawon_database_up", "1 where the database answered this scrape in time.", float(up)
        ),
        gauge(
            "taawon_measured",
            "1 where this question to the database was answered; 0: its metrics are missing.",
            measured,
            ["measure"],
        ),
    ]
