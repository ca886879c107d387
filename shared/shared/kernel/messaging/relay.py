"""Sends events from the outbox to the broker: in order per aggregate, at least once, never lost.

One relay per service is active: the one that holds a transaction-scoped advisory lock, so that a
lost process leaves no lock behind. A crash between the broker's confirm and the mark sends an event
again under the same message id; inboxes drop the repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.kernel import failpoints, outage_causes
from shared.kernel.data.advisory_locks import take_lock
from shared.kernel.data.database import is_infrastructure
from shared.kernel.data.pg_notify import NotifyListener
from shared.kernel.data.tables import NOTIFY_CHANNEL, OutboxRow
from shared.kernel.sleep import rest

from . import wire
from .publisher import Outcome, Outgoing, Publisher, is_own_fault, needs_singling_out
from .topology import EVENTS, user_of

log = structlog.get_logger()

RELAY_LOCK = 0x7461_6177_6F6E  # "taawon" in ASCII; services have databases of their own

PUBLISHED = Counter("taawon_outbox_published_total", "Events confirmed by the broker.")
QUARANTINED = Counter(
    "taawon_outbox_quarantined_total", "Events quarantined because they can't be sent."
)
FAILURES = Counter(
    "taawon_outbox_failures_total", "Events that the broker did not confirm; they are sent again."
)
BATCH_SECONDS = Histogram(
    "taawon_relay_batch_seconds", "Time to send a batch of events until each is confirmed."
)
LAST_RUN = Gauge(
    "taawon_relay_last_run_timestamp_seconds",
    "When the relay last looked at its outbox, Unix time.",
)

_outbox = OutboxRow.__table__
_CLAIM = (
    select(_outbox)
    .where(_outbox.c.published_at.is_(None), _outbox.c.quarantined_at.is_(None))
    .order_by(_outbox.c.seq)
)


@dataclass
class Relay:
    """The relay of one service; it sends up to `batch` events at a time."""

    engine: AsyncEngine
    publisher: Publisher
    service: str
    batch: int = 100
    poll_seconds: float = 1.0
    _pause: float = field(default=0.0, repr=False)
    _singles: int = field(default=0, repr=False)

    async def run(self) -> None:
        """Send what waits, then wait for a notification or the clock, until cancelled.

        No outage ends it.
        """
        database_url = self.engine.url.render_as_string(hide_password=False)
        async with NotifyListener(
            database_url, NOTIFY_CHANNEL, retry_seconds=self.poll_seconds
        ) as listener:
            while True:
                if not await self._turn():
                    await self._rest(listener)

    async def _turn(self) -> bool:
        """Send one batch; whether more waits now. What is committed later wakes the relay."""
        try:
            sent = await self.send_batch()
        except Exception as error:
            if not is_infrastructure(error):
                log.exception("relay failed", service=self.service)
            self._pause = min(self._pause * 2 or 0.2, 5.0)
            return False
        LAST_RUN.set_to_current_time()
        self._pause = 0.0 if sent.clean else min(self._pause * 2 or 0.2, 5.0)
        return sent.clean and sent.full

    async def _rest(self, listener: NotifyListener) -> None:
        """Wait after a failure for a growing pause, otherwise until the next commit or poll."""
        if self._pause:
            await rest(self._pause)
        else:
            await listener.wait(self.poll_seconds)

    async def send_batch(self) -> Sent:
        """Publish the oldest events together, and mark those that are confirmed (`markable`).

        Sends nothing while another relay of the service holds the lock.
        """
        async with self.engine.begin() as tx:
            if not await take_lock(tx, RELAY_LOCK):
                return Sent(0, clean=True)
            most = 1 if self._singles else self.batch
            rows = (await tx.execute(_CLAIM.limit(most))).all()
            if not rows:
                return Sent(0, clean=True)
            with BATCH_SECONDS.time():
                outcomes = await self.publisher.publish([self._outgoing(row) for row in rows])
            failpoints.reach("relay.between-confirm-and-mark")
            self._singles = max(self._singles - 1, 0)
            if len(rows) > 1 and needs_singling_out(outcomes):
                self._singles = len(rows)
            return await self._settle(tx, rows, outcomes, full=len(rows) == most)

    def _outgoing(self, row: Row[Any]) -> Outgoing:
        message = wire.message(
            event_id=row.event_id,
            topic=row.topic,
            occurred_at=row.occurred_at,
            body=row.body,
            headers=row.headers,
            service=self.service,
            user=user_of(self.publisher.url),
        )
        return Outgoing(message, EVENTS, row.topic)

    async def _settle(
        self,
        tx: AsyncConnection,
        rows: Sequence[Row[Any]],
        outcomes: Sequence[Outcome],
        *,
        full: bool,
    ) -> Sent:
        confirmed = markable(rows, outcomes)
        if confirmed:
            await tx.execute(
                update(OutboxRow)
                .where(OutboxRow.seq == func.any(confirmed))
                .values(published_at=func.clock_timestamp())
            )
            PUBLISHED.inc(len(confirmed))
        failures = [(r, o) for r, o in zip(rows, outcomes, strict=True) if o is not None]
        FAILURES.inc(len(failures))
        for row, error in failures:
            own = is_own_fault(error, alone=len(rows) == 1)
            await self._note_failure(tx, row, error, own=own)
        return Sent(len(confirmed), clean=not failures, full=full)

    async def _note_failure(
        self, tx: AsyncConnection, row: Row[Any], error: BaseException, *, own: bool
    ) -> None:
        values: dict[str, Any] = {
            "attempts": OutboxRow.attempts + 1,
            "last_error": f"{type(error).__name__}",
        }
        if own:
            values["quarantined_at"] = func.clock_timestamp()
            QUARANTINED.inc()
            log.error(
                "event quarantined", topic=row.topic, event_id=str(row.event_id), error=str(error)
            )
        elif row.attempts == 0:
            log.warning(
                "event not sent yet",
                topic=row.topic,
                error=type(error).__name__,
                cause=str(outage_causes.of_broker(error)),
            )
        await tx.execute(update(OutboxRow).where(OutboxRow.seq == row.seq).values(values))


@dataclass(frozen=True)
class Sent:
    """The result of a batch: how many events were marked as sent, whether none failed (`clean`),
    and whether there were as many as a batch takes (`full`).
    """

    count: int
    clean: bool
    full: bool = False


def markable(rows: Sequence[Row[Any]], outcomes: Sequence[Outcome]) -> list[int]:
    """The `seq` of confirmed rows, except those behind an unconfirmed row of their aggregate.

    A row that can't be sent for a reason of its own is quarantined and blocks no other.
    """
    blocked: set[Any] = set()
    marks: list[int] = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome is None and row.aggregate_id not in blocked:
            marks.append(row.seq)
        elif outcome is not None and not is_own_fault(outcome, alone=len(rows) == 1):
            blocked.add(row.aggregate_id)
    return marks
