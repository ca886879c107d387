"""Row by row: steady work, one kind of fault several times, then a look at every id."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import median
from uuid import UUID

from notifications.partners.domain.subscriptions import SubscriptionFilter
from shared.contracts.base import now

from ..journeys.stories import Partner, Story
from . import faults
from .faults import FaultContext, Injection, Lines
from .load import Load, RandomSource
from .partner_reader import StreamReader
from .peers import PEER_FAULTS, PeerFault
from .processes import TARGETS, Processes
from .verdict import Inspector
from .verification import Verdict

Inject = Callable[["Campaign"], Awaitable[Injection]]

FILTERS = (
    {},
    {"topics": ["funding.call.*"], "regions": ["MA-09", "MA-04"]},
)
"""What the partners subscribe to: everything, and calls of some places."""
OVER_LINES = ("funding", "notifications")


@dataclass(frozen=True)
class Fault:
    """A row of the matrix."""

    fault: str
    target: str
    inject: Inject
    sort: str
    """Which number of times counts: that of kills, outages, freezes or cuts."""
    over_lines: bool = False
    """Whether the processes must be connected through our proxies for it."""

    @property
    def name(self) -> str:
        return f"{self.fault} {self.target}"


def _kill(target: str) -> Fault:
    return Fault("kill -9", target, lambda c: faults.kill(c.context, target), "kills")


def _freeze(target: str) -> Fault:
    return Fault("frozen", target, lambda c: faults.freeze(c.context, target), "freezes")


def _outage(server: str, how: str) -> Fault:
    async def inject(campaign: Campaign) -> Injection:
        stack = campaign.context.story.stack
        found = stack.broker.found if server == "RabbitMQ" else stack.postgres.found
        assert found.server is not None
        return await faults.outage(campaign.context, found.server, how)

    return Fault("stopped" if how == "stop" else "kill -9", server, inject, "outages")


def _line(target: str, where: str, how: str) -> Fault:
    act = faults.cut if how == "cut" else faults.half_open
    name = "line cut in mid-frame" if how == "cut" else "line half open"
    sort = "cuts" if how == "cut" else "freezes"
    return Fault(
        name, f"{target} to {where}", lambda c: act(c.context, target, where), sort, over_lines=True
    )


def _peer(name: str, target: str, strike: PeerFault) -> Fault:
    return Fault(name, target, lambda c: strike(c.context), "outages")


PEER_ROWS = tuple(_peer(*fault) for fault in PEER_FAULTS)
MATRIX = (
    *map(_kill, TARGETS),
    *map(_freeze, TARGETS),
    _outage("RabbitMQ", "stop"),
    _outage("RabbitMQ", "kill"),
    _outage("PostgreSQL", "stop"),
    _outage("PostgreSQL", "kill"),
    *PEER_ROWS,
    *(_line(t, w, h) for h in ("cut", "dead") for t in OVER_LINES for w in ("broker", "database")),
)
"""All rows; those over lines come last, for their processes then stay on lines."""


@dataclass(frozen=True)
class Times:
    """How often each sort of fault comes in its row."""

    kills: int = 20
    freezes: int = 2
    outages: int = 2
    cuts: int = 3


@dataclass
class Result:
    """The outcome of a row."""

    fault: str
    target: str
    injections: list[Injection] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    wrong: list[str] = field(default_factory=list)

    @property
    def hits(self) -> Counter[str]:
        """What was open when the fault came, and how often."""
        return Counter(injection.hit for injection in self.injections if injection.hit is not None)

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing doubled, nothing stuck; and the fault came when it hurts."""
        return not self.faults()

    @property
    def torn(self) -> int | None:
        """How many connections ended in the middle of a frame; None where nothing was cut."""
        torn = [injection.torn for injection in self.injections if injection.torn is not None]
        return sum(torn) if torn else None

    def faults(self) -> list[str]:
        found = [*self.wrong, *self.verdict.wrong]
        if self.verdict.lost:
            found.append(f"{self.verdict.lost} alerts are lost")
        if self.verdict.doubled:
            found.append(f"{self.verdict.doubled} alerts are doubled")
        if not self.hits:
            found.append("nothing was open at any of the moments, so this row proves nothing")
        if self.torn == 0:
            found.append("no frame was torn, so these cuts prove nothing")
        return found

    def times_of(self, name: str) -> tuple[float, float] | None:
        """Median and maximum of one of the measured times."""
        values = [v for injection in self.injections if (v := getattr(injection, name)) is not None]
        return (median(values), max(values)) if values else None


class Campaign:
    """The system under load, with partners that read their queues, and what breaks it."""

    def __init__(
        self, story: Story, processes: Processes, *, seed: int, imports: bool = True
    ) -> None:
        self.story = story
        self.processes = processes
        self.seed = seed
        self.load = Load(story, processes, RandomSource(str(seed)), imports=imports)
        self.context = FaultContext(story, processes, self.load, Random(f"{seed}/faults"))
        self.readers: list[StreamReader] = []
        self._stack = AsyncExitStack()
        self._lines = Lines(self._stack)
        self._subscriptions: list[tuple[Partner, UUID]] = []

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Campaign]:
        """All replicas, partners and workers are there; the work itself begins with a row."""
        await self.processes.start()
        await self.load.prepare()
        await self._subscribe_partners()
        reading = [asyncio.create_task(one.read()) for one in self.readers]
        try:
            async with self._stack, self.load.running():
                yield self
                await self._unsubscribe_partners()
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _subscribe_partners(self) -> None:
        for wanted in FILTERS:
            partner = await self.story.register_partner()
            self._subscriptions.append((partner, await self.story.subscribe(partner, **wanted)))
            partner_queue = await self.story.request_partner_queue(partner)
            self.readers.append(StreamReader(partner, partner_queue))
        self.inspector = Inspector(self.story, self.readers)
        for reader, wanted in zip(self.readers, FILTERS, strict=True):
            self.inspector.wants(reader.partner.slug, SubscriptionFilter.model_validate(wanted))

    async def _unsubscribe_partners(self) -> None:
        """Nothing more comes to these partners: others may go on with this system."""
        await self.load.pause()
        for partner, subscription in self._subscriptions:
            path = f"/subscriptions/{subscription}"
            await self.load.ask("notifications", "DELETE", path, who=partner)

    async def row(self, fault: Fault, times: int, tick: Callable[[], None]) -> Result:
        """Inject the fault so many times while work goes on, then look at everything.

        Whatever goes wrong meanwhile fails this row, and not the rows after it.
        """
        result = Result(fault.fault, fault.target)
        first, before = len(self.load.subjects), len(self.load.unexpected)
        self.context.row_began = now()
        self.context.random = Random(f"{self.seed}/{fault.name}")
        try:
            await self._inject(fault, times, result, tick)
        except Exception as error:
            result.wrong.append(f"after {len(result.injections)} faults: {_said(error)}")
        try:
            if result.wrong:
                await self._put_right()
            await self._look(result, first)
        except Exception as error:
            result.wrong.append(f"afterwards: {_said(error)}")
        result.wrong += self.load.unexpected[before:]
        return result

    async def _inject(
        self, fault: Fault, times: int, result: Result, tick: Callable[[], None]
    ) -> None:
        if fault.over_lines:
            await self.load.pause()
            await self._lines.lay(self.context, OVER_LINES)
        self.load.flow()
        for _ in range(times):
            pids = self.processes.pids()
            injection = await fault.inject(self)
            result.injections.append(injection)
            await self.processes.wait_unchanged(pids, injection.killed)
            tick()

    async def _look(self, result: Result, first: int) -> None:
        """Backfills end first; then every subject is ended, so that the next row begins without."""
        await self.load.pause()
        try:
            await self.story.eventually(self.context.is_settled, within=60)
            await self.load.retire()
        except AssertionError as error:
            result.wrong.append(_said(error))
        result.verdict = await self.inspector.inspect(self.load.subjects[first:])
        if not await self.load.partner_queue_opens():
            result.wrong.append("the last password of a renewed queue does not open it")

    async def _put_right(self) -> None:
        stack = self.story.stack
        for server in (stack.postgres.found.server, stack.broker.found.server):
            assert server is not None
            await asyncio.to_thread(server.start)
        await self.processes.start()


def chosen(only: str) -> list[Fault]:
    """The rows whose name holds these words; all rows for none."""
    return [fault for fault in MATRIX if only in fault.name]


async def run_rows(
    campaign: Campaign,
    faults: Iterable[Fault],
    times: Times,
    *,
    shown: Callable[[Fault, int], Callable[[], None]],
) -> AsyncIterator[Result]:
    """Each row in turn; `shown` is given the row that begins, and returns what each fault calls."""
    for fault in faults:
        count = getattr(times, fault.sort)
        yield await campaign.row(fault, count, shown(fault, count))


def _said(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_said(one) for one in error.exceptions)
    return f"{type(error).__name__} {str(error)[:400]}"


__all__ = ["MATRIX", "Campaign", "Fault", "Result", "Times", "chosen", "run_rows"]
