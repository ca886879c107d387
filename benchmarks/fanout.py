"""Fan-out: from the event on the broker to the last alert committed, and the bare statement."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from shared.contracts.base import Event, new_id
from shared.kernel.messaging import wire
from shared.kernel.messaging.publisher import Outgoing, Publisher
from shared.kernel.messaging.topology import EVENTS

from . import audience
from .calls import NARROW, WIDE, BenchCall
from .measured_system import Broken, Commits, MeasuredSystem, in_turns
from .rows import Row, compared

BUDGET = 1.4
"""Of the wide call. What a fan-out adds to its statement is the same for every size, so a call of
a thousand recipients has no budget of its own: its row shows what is added."""


def outgoing_event(event: Event) -> Outgoing:
    """The event as funding's relay sends it."""
    message = wire.message(
        event_id=event.event_id,
        topic=event.topic,
        occurred_at=event.occurred_at,
        body=event.model_dump_json().encode(),
        headers={},
        service="funding",
        user="funding",
    )
    return Outgoing(message, EVENTS, event.topic)


@dataclass
class FanoutRuns:
    """Alerts of a call by the service and by a bare statement. The table is empty before each."""

    system: MeasuredSystem
    database: asyncpg.Connection
    commits: Commits
    funding: Publisher
    alerts_written: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def begun(
        cls, system: MeasuredSystem, *, count: int | None = None
    ) -> AsyncIterator[FanoutRuns]:
        """With an audience in place."""
        async with AsyncExitStack() as open_:
            database = await open_.enter_async_context(system.database("notifications"))
            await audience.fill(system, database, count)
            yield cls(
                system,
                database,
                await open_.enter_async_context(Commits.of(system, "notifications")),
                await open_.enter_async_context(system.publisher("funding")),
            )

    async def ours(self, call: BenchCall) -> float:
        """Through the real process: publish the event, receive the notification of the commit."""
        await self._clean()
        event = call.opened()
        message = outgoing_event(event)
        began = time.perf_counter()
        await self.funding.publish_one(message)
        ended = await self.commits.first_that(lambda: self.count(event.call_id))
        self._note(call, await self.count(event.call_id))
        return ended - began

    async def bare(self, call: BenchCall) -> float:
        """The statement alone, on a connection that is open."""
        await self._clean()
        subject = new_id()
        began = time.perf_counter()
        await self.database.execute(call.statement, subject)
        ended = time.perf_counter()
        self._note(call, await self.count(subject))
        return ended - began

    async def _clean(self) -> None:
        await self.database.execute("TRUNCATE alert")
        await self.system.checkpoint()

    async def count(self, subject: UUID) -> int:
        """How many alerts of a subject are committed."""
        return int(
            await self.database.fetchval(
                "SELECT count(*) FROM alert WHERE subject_id = $1", subject
            )
        )

    def _note(self, call: BenchCall, count: int) -> None:
        """Both methods must have alerted equally many, or nothing is compared."""
        counts = self.alerts_written.setdefault(call.name, set())
        counts.add(count)
        if len(counts) != 1 or not count:
            raise Broken(f"the {call.name} call alerted {sorted(counts)}: the methods differ")

    def matches(self, call: BenchCall) -> int:
        """How many cooperatives each method alerted of this call."""
        (count,) = self.alerts_written[call.name]
        return count


async def measure(system: MeasuredSystem) -> list[Row]:
    """A wide and a narrow call, each beside its bare statement."""
    async with FanoutRuns.begun(system) as fanout_runs:
        return [
            await _compare(system, fanout_runs, WIDE, BUDGET),
            await _compare(system, fanout_runs, NARROW, None),
        ]


async def _compare(
    system: MeasuredSystem, fanout_runs: FanoutRuns, call: BenchCall, budget: float | None
) -> Row:
    system.statements[call.name] = call.statement
    ours, bare = await in_turns(
        system,
        system.sizes.rounds,
        lambda: fanout_runs.ours(call),
        lambda: fanout_runs.bare(call),
    )
    matches = fanout_runs.matches(call)
    return compared(
        f"fan-out, {call.name} call, {matches:,} of {system.sizes.cooperatives:,}",
        ours,
        bare,
        unit="s",
        budget=budget,
        note="event on the broker to last alert committed ÷ the bare INSERT … SELECT",
    )
