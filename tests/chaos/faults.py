"""The faults, and how long the system takes to be itself again after each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from uuid import UUID

from devkit.broker import Server
from devkit.stack_layout import PROVISIONER
from shared.contracts.base import now

from ..journeys.request_bodies import a_track
from ..journeys.stories import Story
from ..journeys.tcp_proxy import TcpProxy
from ..journeys.unfinished_work import UnfinishedWork
from .load import Load, Subject, key_of
from .processes import Member, Processes
from .stop_moments import DELIVERY, FANOUT, KINDS, PARTNER_QUEUE, PUBLISH, STORING, WindowFinder

RECOVERY_SECONDS = 120.0
DELAY = 0.8
"""Most seconds before the search for the moment begins."""
LOOKING_SECONDS = 20.0
"""How long the search goes on for a moment at which something is open."""
DOWN_SECONDS = 1.0

HEARTBEAT = 2
IDLE_SECONDS = 4.0
STATEMENT_SECONDS = 8.0
TRANSACTION_SECONDS = 9.0
SILENCE_SECONDS = 12.0
"""How long a process is frozen or a line dead: longer than each of the four limits above."""
SHORT_TIMEOUTS = {
    "TAAWON_AMQP_HEARTBEAT": str(HEARTBEAT),
    "TAAWON_PUBLISH_TIMEOUT": "3",
    "TAAWON_DATABASE_IDLE_SECONDS": str(IDLE_SECONDS),
    "TAAWON_DATABASE_STATEMENT_SECONDS": str(STATEMENT_SECONDS),
    "TAAWON_DATABASE_TRANSACTION_SECONDS": str(TRANSACTION_SECONDS),
    "TAAWON_RATE_LIMIT": "0",
    "TAAWON_RATE_LIMIT_ADDRESS": "0",
}
"""Settings of the system that is broken here: production allows more time for each, and each
caller fewer requests than this load sends."""

_SORTS = {
    "notifications": ((FANOUT,), (DELIVERY,), (PUBLISH,), (FANOUT, STORING)),
    PROVISIONER: ((PARTNER_QUEUE,),),
}


@dataclass
class Injection:
    """One injected fault: what was open when it came, and the seconds that everything took then."""

    hit: str | None
    recovered: float
    settled: float
    taken_over: float | None = None
    torn: int | None = None
    """How many connections a cut ended in the middle of a frame."""
    killed: str | None = None
    """The member whose process was killed."""


@dataclass
class FaultContext:
    """What a fault needs: the system, its people, and where to look."""

    story: Story
    processes: Processes
    load: Load
    random: Random
    looking_seconds: float = LOOKING_SECONDS
    left: UnfinishedWork = field(init=False)
    row_began: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        self.left = UnfinishedWork(self.story)

    def finder(self, target: str) -> WindowFinder:
        return WindowFinder(self.story, self.processes, target, Random(self.random.getrandbits(64)))

    def wanted(self, target: str) -> tuple[str, ...]:
        return self.random.choice(_SORTS.get(target, ((PUBLISH,),)))

    async def delay(self) -> None:
        await asyncio.sleep(self.random.uniform(0.05, DELAY))

    # Recovery

    async def recovery(self, target: str, since: float) -> tuple[float, float]:
        """Seconds until people were alerted of a new call, and until nothing was left to do."""
        await self.probe(target)
        recovered = time.monotonic() - since
        await self.load.pause()
        await self.story.eventually(self.is_settled, within=RECOVERY_SECONDS)
        settled = time.monotonic() - since
        self.load.flow()
        return recovered, settled

    async def is_settled(self) -> bool:
        """Every event of this row is sent and handled everywhere, every partner queue is fed."""
        return [left async for left in self.left.events(self.row_began)] == []

    async def probe(self, target: str) -> None:
        """People are alerted of a new call, and what only the target publishes arrives as well."""
        own: dict[str, Callable[[], Awaitable[None]]] = {
            "registry": self._probe_record,
            "ideas": self._probe_idea,
            PROVISIONER: self._probe_partner_queue,
        }
        async with asyncio.timeout(RECOVERY_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(self._probe_call())
            if target in own:
                group.create_task(own[target]())  # type: ignore[arg-type]  # all are coroutines

    async def _probe_call(self) -> None:
        call_id = await self.load.open_call(key_of(self.random), a_track(provinces=["MA-TIZ"]))
        self._remember(call_id, is_call=True)
        await self.load.until_alerted(call_id, 2)
        await self.load.close_call(call_id)

    async def _probe_idea(self) -> None:
        idea_id = await self.load.publish_idea(key_of(self.random), regions=["MA-09"])
        subject = self._remember(idea_id, is_call=False)
        await self.load.until_alerted(idea_id, 1)
        await self.load.withdraw(subject)

    def _remember(self, subject_id: UUID, *, is_call: bool) -> Subject:
        """The verdict looks at it as at all others, and nobody else ends it."""
        subject = Subject(subject_id, is_call=is_call, is_still=True, is_open=False)
        self.load.subjects.append(subject)
        return subject

    async def _probe_record(self) -> None:
        who = self.load.quiet
        version = await self.load.change_record(who, 1)
        await self.load.known(who, version)

    async def _probe_partner_queue(self) -> None:
        await self.load.renew_partner_queue()
        await self.load.partner_queue_ready()


@dataclass(frozen=True)
class FrozenProcess:
    """A frozen process, and what it was in the middle of, if the moment was caught."""

    member: Member
    hit: str | None


@asynccontextmanager
async def frozen(
    context: FaultContext, target: str, *, of: tuple[str, ...] = KINDS
) -> AsyncIterator[FrozenProcess]:
    """Freeze a process of this service in the middle of something; unless killed, it goes on.

    The seed chooses of what; where that is not met in time, anything of the sorts `of` will do.
    What is done to the system meanwhile comes while that is open.
    """
    await context.delay()
    finder = context.finder(target)
    wanted = tuple(kind for kind in context.wanted(target) if kind in of)
    caught = await finder.catch(patience=context.looking_seconds / 3, wanted=wanted)
    caught = caught or await finder.catch(patience=2 * context.looking_seconds / 3, wanted=of)
    member = caught.member if caught else context.random.choice(context.processes.of(target))
    try:
        await asyncio.to_thread(member.freeze)
        yield FrozenProcess(member, caught.window.kind if caught else None)
    finally:
        member.thaw()


async def kill(context: FaultContext, target: str) -> Injection:
    """Kill -9 the process that has a transaction or a publish open, and start another."""
    async with frozen(context, target) as it:
        await asyncio.to_thread(it.member.kill)
    since = time.monotonic()
    await asyncio.to_thread(it.member.launch)
    recovered, settled = await context.recovery(target, since)
    return Injection(it.hit, recovered, settled, killed=it.member.name)


async def freeze(context: FaultContext, target: str) -> Injection:
    """Stop a process in mid-transaction for longer than anybody waits for it, then let it go on."""
    async with frozen(context, target) as it:
        taken_over = await _silence(context, target)
    recovered, settled = await context.recovery(target, time.monotonic())
    return Injection(it.hit, recovered, settled, taken_over)


async def _silence(context: FaultContext, target: str) -> float:
    """Wait longer than anybody does; the seconds until the other process had taken over."""
    since = time.monotonic()
    await context.probe(target)
    taken_over = time.monotonic() - since
    await asyncio.sleep(max(0.0, SILENCE_SECONDS - taken_over))
    return taken_over


async def outage(context: FaultContext, server: Server, how: str) -> Injection:
    """A server is stopped or killed while somebody has something open, and started again."""
    whose = context.random.choice(["funding", "notifications"])
    async with frozen(context, whose, of=(FANOUT, PUBLISH, DELIVERY)) as it:
        await asyncio.to_thread(server.stop if how == "stop" else server.kill)
    await asyncio.sleep(DOWN_SECONDS)
    await asyncio.to_thread(server.start)
    recovered, settled = await context.recovery("funding", time.monotonic())
    return Injection(it.hit, recovered, settled)


@dataclass
class Lines:
    """Funding and notifications over lines of ours: of each process one to the broker, one to
    the database."""

    stack: AsyncExitStack

    async def lay(self, context: FaultContext, targets: tuple[str, ...]) -> None:
        """Start these processes anew, each over lines of its own."""
        for member in [m for target in targets for m in context.processes.of(target)]:
            if not member.lines:
                await self._lay(member)
                await asyncio.to_thread(member.kill)
        await context.processes.start()

    async def _lay(self, member: Member) -> None:
        known = await asyncio.to_thread(member.stack.environment, member.service)
        broker = await self.stack.enter_async_context(TcpProxy.to(known["TAAWON_AMQP_URL"]))
        database = await self.stack.enter_async_context(TcpProxy.to(known["TAAWON_DATABASE_URL"]))
        member.lines = {"broker": broker, "database": database}
        member.settings["TAAWON_AMQP_URL"] = broker.url
        member.settings["TAAWON_DATABASE_URL"] = database.url
        if partners := known.get("TAAWON_AMQP_PARTNERS_URL"):
            member.settings["TAAWON_AMQP_PARTNERS_URL"] = broker.over(partners)


async def cut(context: FaultContext, target: str, where: str) -> Injection:
    """Cut the lines of all processes of a service to one server, in the middle of a frame.

    The process that was frozen in mid-transaction goes on once the cut has begun, so what it sends
    next is cut in half.
    """
    lines = [member.lines[where] for member in context.processes.of(target)]
    async with frozen(context, target) as it:
        cuts = [asyncio.create_task(line.cut()) for line in lines]
        await asyncio.sleep(0)  # they begin
    torn = await asyncio.gather(*cuts)
    recovered, settled = await context.recovery(target, time.monotonic())
    return Injection(it.hit, recovered, settled, torn=sum(torn))


async def half_open(context: FaultContext, target: str, where: str) -> Injection:
    """The process that is in the middle of something receives nothing from now on and gets no
    error; later new connections work."""
    async with frozen(context, target) as it:
        line = it.member.lines[where]
        line.drop_all()
    try:
        taken_over = await _silence(context, target)
    finally:
        await line.heal()
    recovered, settled = await context.recovery(target, time.monotonic())
    return Injection(it.hit, recovered, settled, taken_over)
