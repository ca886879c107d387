"""Breaking parts of a running system on purpose, looking closely, and putting it right again."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from devkit.broker import Server
from devkit.forks import exit_code_of, spawn_fork
from devkit.processes import Process
from devkit.stack_layout import PROVISIONER, SERVICES
from devkit.state import free_port
from notifications.audience.models import AUDIENCE_LOCK
from shared.contracts.criteria import Criteria, LegalStatus
from shared.kernel.messaging.relay import RELAY_LOCK

from .register_files import matching
from .request_bodies import a_track
from .stories import Story, end, started
from .unfinished_work import Backlog, UnfinishedWork

DELAYS = (0.2, 0.4, 0.8)
"""The whole retry schedule of the system that these journeys break."""
COOPERATIVES = 3000
LATER = 1200
MORE = LATER + 800
"""How many the register has, and how many more the journeys import, at once and bit by bit."""
SOUSS_MASSA = Criteria(regions=("MA-09",), legal_statuses=(LegalStatus.REGISTERED,))
A_TRACK = a_track(**SOUSS_MASSA.model_dump(mode="json", exclude_defaults=True))

FOLLOW_CALL = "notifications.follow_call"
FEED_PARTNERS = "notifications.feed_partners"
STORE_IMPORTED = "notifications.store_imported_cooperatives"

_HOLDS_LOCK = """
SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE datname = current_database() AND locktype = 'advisory' AND granted = $2
    AND classid::bigint << 32 | objid::bigint = $1 AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
async def breakable(run_folder: Path) -> AsyncIterator[Story]:
    """A second system, on servers of its own, that only these journeys use."""
    with pytest.MonkeyPatch.context() as environment:
        # Servers that somebody gave us are not ours to break.
        for name in ("AMQP_URL", "POSTGRES_ADMIN_URL", "RABBIT_MANAGEMENT_URL"):
            environment.delenv(f"TAAWON_{name}", raising=False)
        delays = ",".join(map(str, DELAYS))
        stack = await started(run_folder / "breakable", TAAWON_RETRY_DELAYS=delays)
    try:
        files = run_folder / "breakable-files"
        async with Story.begun(stack, files, count=COOPERATIVES, later=MORE) as story:
            yield story
    finally:
        await asyncio.to_thread(end, stack)


@pytest.fixture(scope="session")
async def session_breaker(breakable: Story) -> Breaker:
    return Breaker(breakable)


@pytest.fixture
async def breaker(session_breaker: Breaker) -> AsyncIterator[Breaker]:
    """The means to break that system; what a journey leaves broken is put right afterwards."""
    yield session_breaker
    await session_breaker.put_right()
    await session_breaker.settled()


@dataclass(frozen=True)
class Trap:
    """A process that ends at a named place the first time that it gets there."""

    place: str
    proof: Path
    pid: int

    def has_sprung(self) -> bool:
        """This very process got there and was killed: it could neither save nor say anything."""
        proof_text = self.proof.read_text() if self.proof.exists() else ""
        return (
            proof_text == f"{self.place} {self.pid}\n" and exit_code_of(self.pid) == -signal.SIGKILL
        )


@dataclass(frozen=True)
class Replica:
    """One more process of a service."""

    process: Process
    url: str


class Breaker:
    """Kills, stops and holds up parts of one system, and sees what is under way in it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.stack = story.stack
        self.left = UnfinishedWork(story)
        self._tampered: set[str] = set()
        self._replicas: list[Replica] = []
        self._reported: set[str] = set()

    @property
    def postgres(self) -> Server:
        server = self.stack.postgres.found.server
        assert server is not None
        return server

    @property
    def broker(self) -> Server:
        server = self.stack.broker.found.server
        assert server is not None
        return server

    # Processes

    async def arm(self, name: str, place: str) -> Trap:
        """Start this process anew, so that it ends at this place."""
        proof = self.stack.folder / f"trap-{secrets.token_hex(4)}"
        pid = await self.restart(name, TAAWON_FAILPOINT=f"{place}@{proof}")
        return Trap(place, proof, pid)

    async def restart(self, name: str, **settings: str) -> int:
        """The pid of a new process, with these settings of its own; the one before is killed."""
        self._tampered.discard(name)
        if settings:
            self._tampered.add(name)
        process = self.stack.process(name)
        await asyncio.to_thread(process.kill9)
        await asyncio.to_thread(self.stack.start_service, name, **settings)
        pid = process.pid
        assert pid is not None
        return pid

    async def kill(self, name: str) -> None:
        await asyncio.to_thread(self.stack.process(name).kill9)

    async def add_replica(self, name: str) -> Replica:
        """One more process of a service, ready, on a port of its own."""
        port = free_port()
        known = await asyncio.to_thread(self.stack.environment, name)
        process = Process(self.stack.folder / "processes", f"{name}-{secrets.token_hex(4)}")
        replica = Replica(process, f"http://127.0.0.1:{port}")
        self._replicas.append(replica)
        process.start(
            [sys.executable, "-m", "cli.program", "serve", name],
            env={**known, "TAAWON_HTTP_PORT": str(port)},
            spawn=spawn_fork,
        )
        await self.story.eventually(lambda: self.is_ready(replica.url))
        return replica

    async def is_ready(self, url: str) -> bool:
        with suppress(httpx.TransportError):
            return (await self.story.http.get(f"{url}/readyz")).status_code == 200
        return False

    async def put_right(self) -> None:
        """Whatever was ended runs again, and nothing that was tampered with runs any more."""
        for replica in self._replicas:
            await asyncio.to_thread(replica.process.kill9)
        self._replicas.clear()
        for server in (self.postgres, self.broker):
            if not server.is_running():
                await asyncio.to_thread(server.start)
        for name in self._tampered:
            await self.kill(name)
        self._tampered.clear()
        for name in (*SERVICES, PROVISIONER):
            await asyncio.to_thread(self.stack.launch, name)
        for name in SERVICES:
            await asyncio.to_thread(self.stack.wait_ready, name)

    # Holding up and looking

    @asynccontextmanager
    async def fanouts_blocked(self) -> AsyncIterator[None]:
        """Meanwhile each fan-out gets to its first step and no further, as if it took very long."""
        async with self.story.database("notifications") as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", AUDIENCE_LOCK)
            # The lock goes with the connection, also where the server goes first.
            yield

    async def fanouts_under_way(self) -> int:
        """How many transactions wait to be the one fan-out."""
        return len(await self._lockers("notifications", AUDIENCE_LOCK, holds=False))

    async def relays_under_way(self, service: str) -> list[int]:
        """The database sessions that hold the lock of the one relay."""
        return await self._lockers(service, RELAY_LOCK, holds=True)

    async def _lockers(self, service: str, lock: int, *, holds: bool) -> list[int]:
        async with self.story.database(service) as connection:
            return [row["pid"] for row in await connection.fetch(_HOLDS_LOCK, lock, holds)]

    async def backlog(self, queue: str) -> Backlog:
        """As the broker counts it, which may be a moment late."""
        return (await self.left.backlogs())[queue]

    async def unsent(self, service: str) -> int:
        """Events in the outbox that the broker has not confirmed."""
        return await self.left.unsent(service)

    async def counted(self, *outcomes: str) -> float:
        """How many deliveries had one of these outcomes since notifications started."""
        name = "taawon_messages_total"
        return sum([await self.story.metric("notifications", name, outcome=o) for o in outcomes])

    # Healed

    async def settled(self) -> None:
        """Wait until nothing is under way; whatever is lost or given up shows as never settling."""
        unfinished: list[str] = []

        async def look() -> bool:
            seen = [left async for left in self.left.everything()]
            unfinished[:] = [left for left in seen if left not in self._reported]
            return not unfinished

        try:
            await self.story.eventually(look)
        except AssertionError:
            # What one journey lost is its failure alone, not that of all later ones.
            self._reported.update(unfinished)
            raise AssertionError(f"not settled: {'; '.join(unfinished)}") from None

    async def alerts(self, subject_id: UUID) -> dict[UUID, int]:
        """How many alerts about a subject each cooperative has, of whatever kind."""
        async with self.story.database("notifications") as connection:
            rows = await connection.fetch(
                "SELECT cooperative_id, count(*) FROM alert WHERE subject_id = $1 GROUP BY 1",
                subject_id,
            )
        return {row["cooperative_id"]: row["count"] for row in rows}

    async def one_each(self) -> dict[UUID, int]:
        """One alert for everybody whom a call of `A_TRACK` is for, by the register files alone.

        Neither ages nor shares are asked for, so the day does not matter.
        """
        audience = matching(await self.story.register(), [SOUSS_MASSA], date.min)
        return dict.fromkeys(audience, 1)
