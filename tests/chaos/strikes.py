"""The faults, and how long the system takes to be itself again after each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from shared.contracts.base import now
from shared.local.broker import Server
from shared.local.stack import PROVISIONER

from ..journeys.leftovers import Leftovers
from ..journeys.line import Line
from ..journeys.stories import Story, a_track
from .crew import Crew, Member
from .load import Load, key_of
from .windows import DELIVERY, DOOR, FANOUT, KEEPING, PUBLISH, Caught, Lookout

RECOVERY_SECONDS = 120.0
DELAY = 0.8
"""The longest delay before one begins to look for the moment."""
LOOKING_SECONDS = 12.0
DOWN_SECONDS = 1.0

HEARTBEAT = 2
IDLE_SECONDS = 4.0
STATEMENT_SECONDS = 10.0
SILENCE_SECONDS = 12.0
"""How long a process is frozen or a line dead: longer than all three before allow."""
PATIENCE = {
    "TAAWON_AMQP_HEARTBEAT": str(HEARTBEAT),
    "TAAWON_PUBLISH_TIMEOUT": "3",
    "TAAWON_DATABASE_IDLE_SECONDS": str(IDLE_SECONDS),
    "TAAWON_DATABASE_STATEMENT_SECONDS": str(STATEMENT_SECONDS),
    "TAAWON_RATE_LIMIT": "0",
    "TAAWON_RATE_LIMIT_ADDRESS": "0",
}
"""Settings of the system that is broken here: production allows more time for each, and one
caller less than all of our people together ask."""

_SORTS = {
    "notifications": ((FANOUT,), (DELIVERY,), (PUBLISH,), (FANOUT, KEEPING)),
    PROVISIONER: ((DOOR,),),
}


@dataclass
class Blow:
    """One fault: what was open when it came, and how long everything took afterwards."""

    hit: str | None
    recovered: float
    settled: float
    taken_over: float | None = None


@dataclass
class Field:
    """What a fault needs: the system, its people, and where to look."""

    story: Story
    crew: Crew
    load: Load
    dice: Random
    left: Leftovers = field(init=False)
    row_began: datetime = field(default_factory=now)
    torn: int = 0

    def __post_init__(self) -> None:
        self.left = Leftovers(self.story)

    def lookout(self, target: str) -> Lookout:
        return Lookout(self.story, self.crew, target)

    def wanted(self, target: str) -> tuple[str, ...]:
        return self.dice.choice(_SORTS.get(target, ((PUBLISH,),)))

    async def delay(self) -> None:
        await asyncio.sleep(self.dice.uniform(0.05, DELAY))

    # Recovery

    async def recovery(self, target: str, since: float) -> tuple[float, float]:
        """Seconds until what is asked for now was told, and until nothing was left to do."""
        await self.probe(target)
        recovered = time.monotonic() - since
        await self.load.pause()
        await self.story.eventually(self.is_settled, within=RECOVERY_SECONDS)
        settled = time.monotonic() - since
        self.load.flow()
        return recovered, settled

    async def is_settled(self) -> bool:
        """Every fact of this row is sent and handled everywhere, every partner queue is fed."""
        return [left async for left in self.left.facts(self.row_began)] == []

    async def probe(self, target: str) -> None:
        """A call opened now is told, and what the target alone announces arrives as well."""
        own: dict[str, Callable[[], Awaitable[None]]] = {
            "registry": self._probe_record,
            "ideas": self._probe_idea,
            PROVISIONER: self._probe_door,
        }
        async with asyncio.timeout(RECOVERY_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(self._probe_call())
            if target in own:
                group.create_task(own[target]())  # type: ignore[arg-type]  # all are coroutines

    async def _probe_call(self) -> None:
        call_id = await self.load.open_call(key_of(self.dice), a_track(provinces=["MA-TIZ"]))
        await self.load.told(call_id, 2)
        await self.load.close_call(call_id)

    async def _probe_idea(self) -> None:
        idea_id = await self.load.publish_idea(key_of(self.dice), regions=["MA-09"])
        await self.load.told(idea_id, 1)

    async def _probe_record(self) -> None:
        who = self.load.quiet
        version = await self.load.change_record(who, 1)
        await self.load.known(who, version)

    async def _probe_door(self) -> None:
        await self.load.renew_door()
        slug = self.load.renewing.slug if self.load.renewing else ""
        ready = "SELECT (state = 'ready')::int FROM amqp_door WHERE slug = $1"
        await self.load.seen(ready, slug, 1)


async def kill(field: Field, target: str) -> Blow:
    """Kill -9 the process that has a transaction or a publish open, and start another."""
    await field.delay()
    caught = await catch(field, target)
    member = caught.member if caught else field.dice.choice(field.crew.of(target))
    await asyncio.to_thread(member.kill)
    since = time.monotonic()
    field.crew.forget(member)
    await asyncio.to_thread(member.launch)
    recovered, settled = await field.recovery(target, since)
    await asyncio.to_thread(field.crew.wait_ready, member)
    return Blow(caught.window.kind if caught else None, recovered, settled)


async def catch(field: Field, target: str) -> Caught | None:
    """The process in the middle of what the seed asks for, else in the middle of anything."""
    lookout = field.lookout(target)
    wanted = field.wanted(target)
    caught = await lookout.catch(patience=LOOKING_SECONDS / 3, wanted=wanted)
    return caught or await lookout.catch(patience=2 * LOOKING_SECONDS / 3)


async def freeze(field: Field, target: str) -> Blow:
    """Stop a process in mid-transaction for longer than anybody waits for it, then let it go on."""
    await field.delay()
    caught = await catch(field, target)
    member = caught.member if caught else field.dice.choice(field.crew.of(target))
    await asyncio.to_thread(member.freeze)
    frozen_at = time.monotonic()
    await field.probe(target)
    taken_over = time.monotonic() - frozen_at
    await asyncio.sleep(max(0.0, SILENCE_SECONDS - taken_over))
    member.thaw()
    recovered, settled = await field.recovery(target, time.monotonic())
    await asyncio.to_thread(field.crew.wait_ready, member)
    return Blow(caught.window.kind if caught else None, recovered, settled, taken_over)


async def outage(field: Field, server: Server, how: str) -> Blow:
    """A server is stopped or killed while somebody has something open, and started again."""
    await field.delay()
    seen = await field.lookout(field.dice.choice(["funding", "notifications"])).see(
        patience=LOOKING_SECONDS, wanted=(FANOUT, PUBLISH, DELIVERY)
    )
    await asyncio.to_thread(server.stop if how == "stop" else server.kill)
    await asyncio.sleep(DOWN_SECONDS)
    await asyncio.to_thread(server.start)
    recovered, settled = await field.recovery("funding", time.monotonic())
    return Blow(seen.kind if seen else None, recovered, settled)


@dataclass
class Lines:
    """Funding and notifications over lines of ours: of each process one to the broker, one to
    the database."""

    stack: AsyncExitStack
    to_broker: dict[str, Line] = field(default_factory=dict)
    to_database: dict[str, Line] = field(default_factory=dict)

    async def lay(self, field: Field, targets: tuple[str, ...]) -> None:
        """Start these processes anew, each over lines of its own."""
        for member in [m for target in targets for m in field.crew.of(target)]:
            if member.name not in self.to_broker:
                await self._lay(member)
                await asyncio.to_thread(member.kill)
                field.crew.forget(member)
        await field.crew.start()

    async def _lay(self, member: Member) -> None:
        known = await asyncio.to_thread(member.stack.environment, member.service)
        broker = await self.stack.enter_async_context(Line.to(known["TAAWON_AMQP_URL"]))
        database = await self.stack.enter_async_context(Line.to(known["TAAWON_DATABASE_URL"]))
        self.to_broker[member.name], self.to_database[member.name] = broker, database
        member.settings["TAAWON_AMQP_URL"] = broker.url
        member.settings["TAAWON_DATABASE_URL"] = database.url
        if partners := known.get("TAAWON_AMQP_PARTNERS_URL"):
            member.settings["TAAWON_AMQP_PARTNERS_URL"] = broker.over(partners)

    def of(self, field: Field, target: str, where: str) -> list[Line]:
        lines = self.to_broker if where == "broker" else self.to_database
        return [lines[member.name] for member in field.crew.of(target)]


async def cut(field: Field, lines: Lines, target: str, where: str) -> Blow:
    """Cut the connections of all processes of a service at once, in the middle of a frame."""
    await field.delay()
    seen = await field.lookout(target).see(patience=LOOKING_SECONDS, wanted=field.wanted(target))
    torn = await asyncio.gather(*(line.cut() for line in lines.of(field, target, where)))
    field.torn += sum(torn)
    recovered, settled = await field.recovery(target, time.monotonic())
    return Blow(seen.kind if seen else None, recovered, settled)


async def half_open(field: Field, lines: Lines, target: str, where: str) -> Blow:
    """One process hears nothing and is not told so; later whoever asks anew is heard."""
    await field.delay()
    seen = await field.lookout(target).see(patience=LOOKING_SECONDS, wanted=field.wanted(target))
    line = field.dice.choice(lines.of(field, target, where))
    line.go_dead()
    dead_at = time.monotonic()
    await field.probe(target)
    taken_over = time.monotonic() - dead_at
    await asyncio.sleep(max(0.0, SILENCE_SECONDS - taken_over))
    await line.heal()
    recovered, settled = await field.recovery(target, time.monotonic())
    return Blow(seen.kind if seen else None, recovered, settled, taken_over)
