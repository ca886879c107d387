"""What a run measures: private servers, processes as in production, and connections to both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from devkit.stack import Stack
from devkit.stack_layout import SERVICES
from shared.kernel.data.tables import NOTIFY_CHANNEL
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import VHOST
from shared.kernel.messaging.publisher import Publisher

Say = Callable[[str], None]
BENCH_VHOST = "bench"
PATIENCE = 300.0
"""Seconds until a measure counts as broken."""


class Broken(RuntimeError):
    """A measure can't be believed: what was compared did not do the same work."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much data and how often. The defaults are those of the published table."""

    cooperatives: int = 65_315
    grown: tuple[int, ...] = (250_000, 1_000_000)
    open_subjects: tuple[int, ...] = (10, 100, 1_000)
    partners: tuple[int, ...] = (1, 100)
    rounds: int = 5
    hops: int = 60
    messages: int = 2_000
    peer_recipients: int = 5_000
    peer_rounds: int = 2
    imports: int = 2
    inboxes: tuple[int, int] = (200, 200_000)
    inbox_pages: int = 8


QUICK = Sizes(
    cooperatives=6_000,
    grown=(12_000, 24_000),
    open_subjects=(10, 100),
    partners=(1, 10),
    rounds=3,
    hops=10,
    messages=500,
    peer_recipients=500,
    peer_rounds=1,
    imports=1,
    inboxes=(200, 5_000),
    inbox_pages=4,
)
TINY = Sizes(
    cooperatives=600,
    grown=(1_200,),
    open_subjects=(2, 4),
    partners=(1, 2),
    rounds=1,
    hops=1,
    messages=40,
    peer_recipients=20,
    peer_rounds=1,
    imports=1,
    inboxes=(60, 120),
    inbox_pages=1,
)


def plain(url: str) -> str:
    """A database's URL as asyncpg and psycopg take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@dataclass
class MeasuredSystem:
    """One run's servers, sizes and clock."""

    stack: Stack
    sizes: Sizes
    deadline: float
    say: Say = print
    urls: dict[str, str] = field(default_factory=dict)
    growth: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    statements: dict[str, str] = field(default_factory=dict)

    def open(self, services: Sequence[str]) -> None:
        """Servers, schema, topology, then the processes that the chosen rows need."""
        self.stack.start_servers()
        self.stack.prepare(services)
        self.stack.broker.add_vhost(BENCH_VHOST)
        for service in SERVICES:
            self.urls[service] = self.stack.database_url(service)
            self.stack.broker.add_service_user(topology.BrokerUser(service), vhost=BENCH_VHOST)
        for service in services:
            self.stack.launch(service)
        for service in services:
            self.stack.wait_ready(service, within=120)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.deadline - time.monotonic()

    def rounds(self, count: int) -> range:
        """`count` rounds; only one where the time of the run is over."""
        return range(count if self.seconds_left > 0 else 1)

    def database_url(self, name: str) -> str:
        """The URL of a database of this run, made at the first call."""
        if name not in self.urls:
            self.urls[name] = self.stack.postgres.databases.create(name)
        return self.urls[name]

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[asyncpg.Connection]:
        """A plain connection as the owner of that database."""
        connection = await asyncpg.connect(plain(self.database_url(name)), command_timeout=PATIENCE)
        try:
            yield connection
        finally:
            await connection.close()

    async def checkpoint(self) -> None:
        """Write everything out now, so that no measure pays for what came before it."""
        connection = await asyncpg.connect(plain(self.stack.postgres.databases.admin_url))
        try:
            await connection.execute("CHECKPOINT", timeout=PATIENCE)
        finally:
            await connection.close()

    @asynccontextmanager
    async def publisher(self, service: str, vhost: str = VHOST) -> AsyncIterator[Publisher]:
        """A publisher with the service's own broker user, closed at the end."""
        publisher = Publisher(self.stack.broker.url_of(service, vhost=vhost), name="benchmark")
        try:
            yield publisher
        finally:
            await publisher.close()


class Commits:
    """Sees each commit of a service that publishes something, at the moment it becomes visible."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._moments: asyncio.Queue[float] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def of(cls, system: MeasuredSystem, service: str) -> AsyncIterator[Commits]:
        """Listens on a connection of its own until the block ends."""
        async with system.database(service) as connection:
            commits = cls(connection)
            await connection.add_listener(NOTIFY_CHANNEL, commits._received)
            yield commits

    def _received(self, *_: Any) -> None:
        self._moments.put_nowait(time.perf_counter())

    async def first_that(self, holds: Callable[[], Awaitable[Any]]) -> float:
        """When the first commit was notified after which this holds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                moment = await self._moments.get()
                if await holds():
                    return moment


async def until(holds: Callable[[], Awaitable[bool]], *, every: float) -> None:
    """Look every `every` seconds until it holds; raises TimeoutError after `PATIENCE` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  # what is looked at lives in another process
            await asyncio.sleep(every)


Measure = Callable[[], Awaitable[float]]


async def in_turns(
    system: MeasuredSystem, count: int, ours: Measure, reference: Measure, *, warm: bool = True
) -> tuple[Any, Any]:
    """Both measured `count` times, one right after the other, and each begins every other time.

    One more of each goes before and is thrown away, so that connections, caches and plans are
    warm; what takes many seconds needs none.
    """
    samples: tuple[list[float], list[float]] = ([], [])
    if warm:
        await ours()
        await reference()
    for number in system.rounds(count):
        order = [0, 1] if number % 2 == 0 else [1, 0]
        for which in order:
            samples[which].append(await (ours, reference)[which]())
    return samples


def shuffled(items: Sequence[Any]) -> list[Any]:
    """The same order in every run, and none that a generator left."""
    mixed = list(items)
    random.Random(1).shuffle(mixed)
    return mixed
