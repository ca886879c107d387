"""Steady work for the system, drawn from a seed; everything that was confirmed is remembered."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import aio_pika
import asyncpg
import httpx

from registry.register.register_file import cells
from shared import reference
from shared.contracts.base import now
from shared.kernel.messaging.addresses import PARTNER_VHOST
from shared.kernel.messaging.publisher import CONNECTION_ERRORS

from ..journeys.request_bodies import a_call, a_track, an_idea
from ..journeys.stories import Partner, PartnerQueue, Person, Story
from .processes import Processes

STILL = ("MA-01", "MA-04", "MA-06", "MA-09")
"""Regions whose cooperatives never change meanwhile: it is certain whom a call there is for."""
MOVING = tuple(r.code for r in reference.regions() if r.code not in STILL)
"""Here records change and arrive, and only ever come to match more: so whoever matched at any time
matches in the end."""
PATIENCE = 90.0
ANSWER_SECONDS = 4.0
PAUSE = 0.25
MOVING_CALLS = 4
STANDING_CALLS = 6
STANDING_IDEAS = 4
"""How many of each sort are open at a time, about."""
IMPORTED = 8
MANY = 4000
"""Members given to one whose number was unknown: every call might be for it, and still is."""


DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Unanswered(AssertionError):
    """No process gave a definite answer for so long that it counts as a failure."""


@dataclass
class Subject:
    """A call or an idea that its service confirmed, and whether its audience never changes."""

    subject_id: UUID
    is_call: bool
    is_still: bool
    is_open: bool = True


@dataclass
class Counts:
    """How often each thing was done."""

    opened: int = 0
    extended: int = 0
    cancelled: int = 0
    closed: int = 0
    published: int = 0
    withdrawn: int = 0
    changed: int = 0
    imported: int = 0
    renewed: int = 0
    asked_again: int = 0


class RandomSource:
    """What each kind of work does next: the same for the same seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def of(self, work: str) -> Random:
        return Random(f"{self._seed}/{work}")


class Load:
    """People and programs who work on both replicas in turns, and ask again where one is gone."""

    def __init__(
        self,
        story: Story,
        processes: Processes,
        random_source: RandomSource,
        *,
        imports: bool = True,
    ) -> None:
        self.story = story
        self.processes = processes
        self.random_source = random_source
        self.counts = Counts()
        self.subjects: list[Subject] = []
        self.unexpected: list[str] = []
        self.author = Person("")
        self.renewing: Partner | None = None
        self.partner_queue: PartnerQueue | None = None
        self._renewal_answered_at = now()
        self._renews = asyncio.Lock()
        self.quiet = UUID(int=0)
        """A record that only probes change."""
        self._imports = imports
        self._changing: list[UUID] = []
        self._flowing = asyncio.Event()
        self._at_work = 0
        self._idle = asyncio.Event()
        self._http = httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)

    async def prepare(self) -> None:
        """An author, a partner whose queue is renewed again and again, records to change."""
        self.author = await self.story.someone("holder")
        self.renewing = await self.story.register_partner()
        self.partner_queue = await self.story.request_partner_queue(self.renewing)
        async with self.story.database("registry") as connection:
            rows = await connection.fetch(
                "SELECT id FROM cooperative WHERE region = ANY($1) ORDER BY id LIMIT 200", MOVING
            )
        self.quiet, *self._changing = [row["id"] for row in rows]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everybody works meanwhile, and ends what is at hand afterwards."""
        kinds = (
            *((self._work_on_call, f"calls {number}") for number in (1, 2, 3)),
            *((self._work_on_idea, f"ideas {number}") for number in (1, 2)),
            *((self._change_record, f"records {number}") for number in (1, 2)),
            (self._renew_partner_queue, "partner_queues"),
        )
        work = [
            asyncio.create_task(self._repeat(do, self.random_source.of(name))) for do, name in kinds
        ]
        if self._imports:
            import_some = self._repeat(
                self._import_some, self.random_source.of("imports"), every=2.0
            )
            work.append(asyncio.create_task(import_some))
        try:
            yield
            await self.pause()
        finally:
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
            await self._http.aclose()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def flow(self) -> None:
        """Go on working."""
        self._flowing.set()

    async def pause(self) -> None:
        """Nobody begins anything any more; what was begun has been answered."""
        self._flowing.clear()
        if self._at_work:
            self._idle.clear()
            await self._idle.wait()

    async def _repeat(
        self, work: Callable[[Random], Awaitable[None]], random: Random, *, every: float = 0.0
    ) -> None:
        while True:
            await asyncio.sleep(every + random.uniform(0, PAUSE))
            await self._flowing.wait()
            self._at_work += 1
            try:
                await work(random)
            except Exception as error:
                self.unexpected.append(f"{type(error).__name__} {str(error)[:300]}")
            finally:
                self._at_work -= 1
                if not self._at_work:
                    self._idle.set()

    # Asking

    async def ask(
        self, service: str, method: str, path: str, *, who: Person | None = None, **rest: Any
    ) -> httpx.Response:
        """A definite answer, from whichever replica gives one."""
        who = who or self.story.operator
        # Steps are sent again until they are answered, so each fits any version.
        headers = {"If-Match": "*", **who.headers, **rest.pop("headers", {})}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            member = self.processes.next(service)
            try:
                url = f"{member.url}{path}"
                answer = await self._http.request(method, url, headers=headers, **rest)
            except httpx.TransportError:
                self.processes.avoid(member)
            else:
                if answer.status_code < 500 and not is_to_be_repeated(answer):
                    return answer
                if answer.status_code not in (409, 429, 503):
                    self.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text}")
            self.counts.asked_again += 1
            await asyncio.sleep(0.05)
        raise Unanswered(f"{method} {path}: no answer for {PATIENCE:g} s")

    async def _done(
        self, service: str, path: str, state: str, *, who: Person | None = None, body: Any = None
    ) -> None:
        """A step was taken, now or by an attempt whose answer was lost."""
        answer = await self.ask(service, "POST", path, who=who, json=body)
        if answer.status_code == 200:
            return
        thing = await self.ask(service, "GET", path.rpartition("/")[0], who=who)
        assert thing.json().get("state") == state, f"{path}: {answer.status_code} {answer.text}"

    # Waiting for effects, so that work is never more than the system can do

    async def until_alerted(self, subject_id: UUID, version: int) -> None:
        """Everybody was alerted of this version, or nobody will be: it is over, or taken back
        first.

        An event that was with a process whose line is dead comes after those that followed it.
        """
        query = """SELECT CASE WHEN state = 'over' OR state = 'void' AND notified_version IS NULL
                THEN version ELSE notified_version END
            FROM subject WHERE subject_id = $1"""
        await self.seen(query, subject_id, version)

    async def known(self, cooperative_id: UUID, version: int) -> None:
        """The audience has this version of a record."""
        query = "SELECT version FROM audience WHERE cooperative_id = $1"
        await self.seen(query, cooperative_id, version)

    async def seen(self, query: str, key: UUID | str, least: int) -> None:
        """What notifications has in its database, once it answers."""

        async def look() -> bool:
            with suppress(OSError, TimeoutError, *DATABASE_ERRORS):
                async with self.story.database("notifications") as connection:
                    return (await connection.fetchval(query, key) or 0) >= least
            return False

        await self.story.eventually(look, within=PATIENCE)

    # Calls

    async def open_call(self, key: UUID, *tracks: dict[str, Any]) -> UUID:
        """One call for this key, however often it had to be asked for."""
        headers = {"Idempotency-Key": str(key)}
        body = a_call(*tracks)
        answer = await self.ask("funding", "POST", "/calls", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        call_id = UUID(answer.json()["call_id"])
        await self._done("funding", f"/calls/{call_id}/open", "open")
        self.counts.opened += 1
        return call_id

    async def close_call(self, call_id: UUID) -> None:
        await self._done("funding", f"/calls/{call_id}/close", "closed")
        self.counts.closed += 1

    async def _work_on_call(self, random: Random) -> None:
        is_moving = random.random() < 0.2
        if is_moving and self._moving_calls() >= MOVING_CALLS:
            is_moving = False
        track = moving_track(random) if is_moving else still_track(random)
        call_id = await self.open_call(key_of(random), track)
        subject = Subject(call_id, is_call=True, is_still=not is_moving)
        self.subjects.append(subject)
        version = 2
        if random.random() < 0.4:
            await self.extend(call_id)
            version = 3
        standing = [s for s in self.subjects if s.is_call and s.is_open and s.is_still]
        if len(standing) > STANDING_CALLS:
            await self._end_call(standing[0], random)
        await self.until_alerted(call_id, version)

    def _moving_calls(self) -> int:
        return sum(s.is_call and s.is_open and not s.is_still for s in self.subjects)

    async def extend(self, call_id: UUID) -> None:
        body = {"deadline": {"local": "2091-10-01T16:00"}, "reason": "à la demande"}
        answer = await self.ask("funding", "POST", f"/calls/{call_id}/extend", json=body)
        if answer.status_code != 200:
            # An attempt whose answer was lost may have moved it already.
            call = (await self.ask("funding", "GET", f"/calls/{call_id}")).json()
            assert call["deadline"]["at"].startswith("2091-10-01"), answer.text
        self.counts.extended += 1

    async def _end_call(self, subject: Subject, random: Random) -> None:
        subject.is_open = False
        if random.random() < 0.3:
            body = {"reason": "budget retiré"}
            await self._done(
                "funding", f"/calls/{subject.subject_id}/cancel", "cancelled", body=body
            )
            self.counts.cancelled += 1
        else:
            await self.close_call(subject.subject_id)

    # Ideas

    async def publish_idea(self, key: UUID, **fields: Any) -> UUID:
        headers = {"Idempotency-Key": str(key)}
        body = an_idea(**fields)
        answer = await self.ask(
            "ideas", "POST", "/ideas", who=self.author, json=body, headers=headers
        )
        assert answer.status_code in (200, 201), answer.text
        idea_id = UUID(answer.json()["idea_id"])
        await self._done("ideas", f"/ideas/{idea_id}/submit", "submitted", who=self.author)
        await self._done("ideas", f"/ideas/{idea_id}/publish", "published")
        self.counts.published += 1
        return idea_id

    async def _work_on_idea(self, random: Random) -> None:
        regions = random.sample(STILL, random.randint(1, 2))
        sectors = random.sample(["ARGAN", "AGRICULTURE", "CRAFTS"], 2)
        idea_id = await self.publish_idea(key_of(random), regions=regions, sectors=sectors)
        self.subjects.append(Subject(idea_id, is_call=False, is_still=True))
        standing = [s for s in self.subjects if not s.is_call and s.is_open]
        if len(standing) > STANDING_IDEAS:
            await self.withdraw(standing[0])
        await self.until_alerted(idea_id, 1)

    async def withdraw(self, subject: Subject) -> None:
        subject.is_open = False
        path = f"/ideas/{subject.subject_id}/withdraw"
        await self._done("ideas", path, "withdrawn", who=self.author)
        self.counts.withdrawn += 1

    # Records

    async def _change_record(self, random: Random) -> None:
        who = random.choice(self._changing)
        await self.known(who, await self.change_record(who, random.randint(1, 3)))

    async def change_record(self, cooperative_id: UUID, more: int) -> int:
        """So many more members have joined; the version of the record then."""
        path = f"/cooperatives/{cooperative_id}"
        known = (await self.ask("registry", "GET", path)).json()
        body = {"members_total": (known["members_total"] or MANY) + more}
        answer = await self.ask("registry", "PATCH", path, json=body)
        assert answer.status_code == 200, answer.text
        self.counts.changed += 1
        return int(answer.json()["version"])

    async def _import_some(self, random: Random) -> None:
        path = await self._some_who_move(IMPORTED)
        if path is None:
            return  # all are in the register
        content = await asyncio.to_thread(path.read_bytes)
        headers = {"Content-Type": "text/csv"}
        end = time.monotonic() + PATIENCE
        while True:
            answer = await self.ask(
                "registry", "POST", "/imports", content=content, headers=headers
            )
            # One that was cut off may still be under way; read again, equal rows change nothing.
            assert answer.status_code in (202, 409), answer.text
            if answer.status_code == 202 and await self._ended(answer, end) == "finished":
                break
            if time.monotonic() > end:
                raise Unanswered(f"an import is not finished after {PATIENCE:g} s: {answer.text}")
            await asyncio.sleep(PAUSE)
        self.counts.imported += 1

    async def _ended(self, started: httpx.Response, end: float) -> str:
        """The state in which an import ended; it is interrupted where its process was killed."""
        while True:
            answer = await self.ask("registry", "GET", started.headers["location"])
            state = str(answer.json()["state"])
            if state != "running" or time.monotonic() > end:
                return state
            await asyncio.sleep(PAUSE)

    async def _some_who_move(self, count: int) -> Path | None:
        """The next cooperatives of regions where things move; the others stay undrawn."""
        column = next(csv.reader([self.story.header])).index("province")
        chosen: list[str] = []
        others: list[str] = []
        for line in self.story.undrawn:
            province = cells.province(next(csv.reader([line]))[column])
            is_chosen = len(chosen) < count and reference.region_of(province) in MOVING
            (chosen if is_chosen else others).append(line)
        self.story.undrawn = [*chosen, *others]
        return await self.story.more_cooperatives(count) if len(chosen) == count else None

    # Partner queues

    async def _renew_partner_queue(self, random: Random) -> None:
        await self.renew_partner_queue()

    async def renew_partner_queue(self) -> None:
        """Ask for a new password; the last one that the API gave is the one that counts."""
        assert self.renewing is not None
        async with self._renews:
            answer = await self.ask("notifications", "POST", "/partner-queue", who=self.renewing)
            self._renewal_answered_at = now()
        assert answer.status_code in (200, 201, 202), answer.text
        made = answer.json()
        url = self.story.stack.broker.found.amqp_url(
            made["username"], made["password"], PARTNER_VHOST
        )
        self.partner_queue = PartnerQueue(url, made["queue"], made["username"], made["password"])
        self.counts.renewed += 1

    async def partner_queue_ready(self) -> None:
        """What was asked for last is made."""
        assert self.renewing is not None
        ready = "SELECT (state = 'ready')::int FROM partner_queue WHERE slug = $1"
        await self.seen(ready, self.renewing.slug, 1)

    async def partner_queue_opens(self) -> bool:
        """Whether the password that the API gave last lets its partner in.

        A process that was frozen may handle later what it was asked before: then its password,
        which nobody has seen, is the newest, and we ask once more.
        """
        assert self.renewing is not None
        async with self.story.database("notifications") as connection:
            query = "SELECT requested_at FROM partner_queue WHERE slug = $1"
            requested_at = await connection.fetchval(query, self.renewing.slug)
        if requested_at > self._renewal_answered_at:
            await self.renew_partner_queue()
        await self.partner_queue_ready()
        assert self.partner_queue is not None
        try:
            async with await aio_pika.connect(self.partner_queue.url, timeout=5):
                return True
        except CONNECTION_ERRORS:
            return False

    async def retire(self) -> None:
        """Close and withdraw what is still open, so that the next row begins without it."""
        for subject in self.subjects:
            if subject.is_open and subject.is_call:
                await self.close_call(subject.subject_id)
            elif subject.is_open:
                await self.withdraw(subject)
            subject.is_open = False


def still_track(random: Random) -> dict[str, Any]:
    """A call where nothing changes, for some hundreds."""
    criteria: dict[str, Any] = {"regions": random.sample(STILL, random.randint(1, 2))}
    if random.random() < 0.5:
        criteria["sectors"] = random.sample(["ARGAN", "AGRICULTURE", "CRAFTS"], 2)
    if random.random() < 0.3:
        criteria["min_share_women"] = {"percent": random.choice([20, 50])}
    return a_track(**criteria)


def moving_track(random: Random) -> dict[str, Any]:
    """A call that ever more cooperatives come to match."""
    criteria: dict[str, Any] = {"min_members": random.choice([10, 15, 25])}
    if random.random() < 0.6:
        criteria["regions"] = random.sample(MOVING, 3)
    return a_track(**criteria)


def is_to_be_repeated(answer: httpx.Response) -> bool:
    """Too many requests, or an attempt with the same key whose answer was lost is still at work."""
    is_conflict = answer.status_code == 409
    return answer.status_code == 429 or (is_conflict and answer.json()["code"] == "still-in-flight")


def key_of(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
