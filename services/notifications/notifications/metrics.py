"""Metrics that notifications counts itself: fan-outs, alerts, and the delay of the audience."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.observability import tracing
from shared.kernel.observability.metrics.counters import after_commit

FANOUT_SECONDS = Histogram(
    "taawon_fanout_seconds",
    "Seconds from the start of a fan-out, once it has the audience lock, to its commit.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
FANOUTS_RUNNING = Gauge("taawon_fanouts_running", "Fan-outs that this process is working on.")
ALERTS = Counter(
    "taawon_alerts_total",
    "Alerts committed. Verdict: eligible, unknown (a field is missing), corrected (the"
    " recipient was alerted before).",
    ["kind", "verdict"],
)
AUDIENCE_DELAY = Histogram(
    "taawon_audience_delay_seconds",
    "Age in seconds of a change of the register when the audience commits it.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
PARTNER_QUEUES_MADE = Counter(
    "taawon_partner_queues_made_total", "Partner queues that the provisioner made."
)
PROVISIONED = Gauge(
    "taawon_provisioner_last_run_timestamp_seconds",
    "When the provisioner last looked for partner queues to make, in Unix seconds.",
)

KINDS = ("idea", "call")
VERDICTS = ("eligible", "unknown", "corrected")
for _kind in KINDS:
    FANOUT_SECONDS.labels(_kind)
    for _verdict in VERDICTS:
        ALERTS.labels(_kind, _verdict)


@dataclass
class Tally:
    """How many alerts a fan-out wrote, by verdict."""

    numbers: dict[str, int] = field(default_factory=dict)

    def set_counts(self, eligible: int, unknown: int, corrected: int) -> None:
        """Say what was written; until then nothing is counted."""
        self.numbers = dict(zip(VERDICTS, (eligible, unknown, corrected), strict=True))


@contextmanager
def fanning_out(session: AsyncSession, kind: str) -> Iterator[Tally]:
    """Measure a fan-out: its span bears the counts; its time and its alerts count once
    committed."""
    started = time.perf_counter()
    tally = Tally()
    with FANOUTS_RUNNING.track_inprogress(), tracing.span(f"fan out {kind}") as span:
        yield tally
        span.set_attributes({f"taawon.alerts.{verdict}": n for verdict, n in tally.numbers.items()})

    def count() -> None:
        FANOUT_SECONDS.labels(kind).observe(time.perf_counter() - started)
        _add(kind, tally.numbers)

    after_commit(session, count)


def count_backfilled(session: AsyncSession, kind: str, eligible: int, unknown: int) -> None:
    """Count the alerts of a backfill, once they are committed."""
    after_commit(session, lambda: _add(kind, {"eligible": eligible, "unknown": unknown}))


def _add(kind: str, numbers: Mapping[str, int]) -> None:
    for verdict, number in numbers.items():
        ALERTS.labels(kind, verdict).inc(number)


def observe_audience_delay(session: AsyncSession, occurred_at: datetime) -> None:
    """Observe how old a change of the register is when the audience commits it."""

    def count() -> None:
        age = (datetime.now(UTC) - occurred_at).total_seconds()
        AUDIENCE_DELAY.observe(max(age, 0.0))

    after_commit(session, count)
