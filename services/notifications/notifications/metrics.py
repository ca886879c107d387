"""What notifications counts: fan-outs, alerts, and the delay of the audience."""

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
    "Time from the start of a fan-out, once it is its turn, to its commit.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
FANOUTS_RUNNING = Gauge("taawon_fanouts_running", "Fan-outs that this process is working on.")
ALERTS = Counter(
    "taawon_alerts_total",
    "Alerts committed. Verdict: eligible, unknown (a field is missing), corrected (alerted"
    " before).",
    ["kind", "verdict"],
)
AUDIENCE_DELAY = Histogram(
    "taawon_audience_delay_seconds",
    "Age of a change of the register when the audience has it.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
PARTNER_QUEUES_MADE = Counter(
    "taawon_partner_queues_made_total", "Partner queues that the provisioner made."
)
PROVISIONED = Gauge(
    "taawon_provisioner_last_run_timestamp_seconds",
    "When the provisioner last looked for partner queues to make, Unix time.",
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
        self.numbers = dict(zip(VERDICTS, (eligible, unknown, corrected), strict=True))


@contextmanager
def fanning_out(session: AsyncSession, kind: str) -> Iterator[Tally]:
    """Watch a fan-out: its span has the counts; its time and alerts count once committed."""
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
    """Count alerts of those who match only now, once they are committed."""
    after_commit(session, lambda: _add(kind, {"eligible": eligible, "unknown": unknown}))


def _add(kind: str, numbers: Mapping[str, int]) -> None:
    for verdict, number in numbers.items():
        ALERTS.labels(kind, verdict).inc(number)


def observe_audience_delay(session: AsyncSession, occurred_at: datetime) -> None:
    """Say how old a change of the register was when the audience committed it."""

    def count() -> None:
        age = (datetime.now(UTC) - occurred_at).total_seconds()
        AUDIENCE_DELAY.observe(max(age, 0.0))

    after_commit(session, count)
