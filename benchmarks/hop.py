"""The hop: from the answer to a published idea to its first alert, and the barest round trip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aio_pika
import asyncpg
import httpx
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from devkit.client import Client
from devkit.demo.participants import Participants
from shared.contracts.base import new_id

from . import audience
from .measured_system import BENCH_VHOST, Broken, Commits, MeasuredSystem, in_turns
from .rows import Row, compared

BUDGET = 3.0
QUEUE = "bench.hop"
_ONE_ALERT = """\
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
VALUES ($1, $2, 0, 'published', 3, 1, 1, 0, 0)"""


async def measure(system: MeasuredSystem) -> list[Row]:
    """Both hops in turns, on a system that does nothing else."""
    async with (
        system.database("notifications") as database,
        Commits.of(system, "notifications") as commits,
        _bare_hop(system, database) as bare,
    ):
        await audience.fill(system, database)
        ours = await _prepared(system, database, commits)
        hops, bares = await in_turns(system, system.sizes.hops, ours.hop, bare)
        await ours.close()
    return [
        compared(
            "hop: answer to a published idea → alert visible, p50",
            [1000 * hop for hop in hops],
            [1000 * hop for hop in bares],
            unit="ms",
            budget=BUDGET,
            note="÷ publish → consume → one commit with aio-pika and asyncpg in one process",
        )
    ]


@dataclass
class _Ideas:
    """Ideas that wait for their publication, and the connection that publishes them."""

    waiting: list[UUID]
    database: asyncpg.Connection
    commits: Commits
    token: str
    host: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hop(self) -> float:
        """From the first byte of the answer, read off the socket: no client stands between."""
        idea = self.waiting.pop()
        self.writer.write(
            f"POST /ideas/{idea}/publish HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Authorization: Bearer {self.token}\r\n"
            'If-Match: "2"\r\nContent-Length: 0\r\n\r\n'.encode()
        )
        status = await self.reader.readline()
        answered = time.perf_counter()
        await self._finish(status)
        seen = await self.commits.first_that(
            lambda: self.database.fetchval("SELECT 1 FROM alert WHERE subject_id = $1", idea)
        )
        # So that the next one finds a quiet system.
        await asyncio.sleep(0.05)
        return seen - answered

    async def _finish(self, status: bytes) -> None:
        length = 0
        while (line := await self.reader.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = await self.reader.readexactly(length)
        if b" 200 " not in status:
            raise Broken(f"an idea was not published: {status!r} {body[:300]!r}")

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def _prepared(
    system: MeasuredSystem, database: asyncpg.Connection, commits: Commits
) -> _Ideas:
    region, sector = await database.fetchrow(
        "SELECT region, sector FROM audience WHERE legal_status = 'registered'"
        " GROUP BY 1, 2 ORDER BY count(*), 1, 2 LIMIT 1"
    )
    waiting, moderator = await asyncio.to_thread(
        _drafted, system, system.sizes.hops + 1, {"regions": [region], "sectors": [sector]}
    )
    address = urlsplit(system.stack.url("ideas"))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    return _Ideas(waiting, database, commits, moderator, address.netloc, reader, writer)


def _drafted(system: MeasuredSystem, count: int, place: dict[str, Any]) -> tuple[list[UUID], str]:
    """Ideas that were handed to the moderators, and the token of one of these."""
    participants = Participants(system.stack)
    author = participants.operator()
    moderator = participants.moderator(author)
    ideas = [_submitted(author, place) for _ in range(count)]
    answer = httpx.post(f"{system.stack.url('registry')}/token", data=moderator.credentials)
    answer.raise_for_status()
    return ideas, answer.json()["access_token"]


def _submitted(author: Client, place: dict[str, Any]) -> UUID:
    body = {
        "title": {"fr": "Huile d'argane traçable", "ar": "زيت أركان قابل للتتبع"},
        "summary": {"fr": "Un lot, un village.", "ar": "لكل دفعة قريتها."},
        "budget_centimes": 20_000_000,
        **place,
    }
    idea = author.post("ideas", "/ideas", body)
    author.move("ideas", f"/ideas/{idea['idea_id']}/submit", seen=idea)
    return UUID(idea["idea_id"])


@asynccontextmanager
async def _bare_hop(system: MeasuredSystem, database: asyncpg.Connection) -> AsyncIterator[Any]:
    """Publishes one persistent message and answers after the consumer has committed one row."""
    connection = await aio_pika.connect(system.stack.broker.admin_url(BENCH_VHOST))
    async with connection:
        sending = await connection.channel()
        receiving = await connection.channel()
        await receiving.set_qos(prefetch_count=1)
        queue = await receiving.declare_queue(
            QUEUE, durable=True, arguments={"x-queue-type": "quorum"}
        )
        committed: asyncio.Queue[float] = asyncio.Queue()

        async def store(message: AbstractIncomingMessage) -> None:
            await database.execute(_ONE_ALERT, new_id(), new_id())
            committed.put_nowait(time.perf_counter())
            await message.ack()

        await queue.consume(store)
        exchange = sending.default_exchange

        async def hop() -> float:
            return await _one(exchange, committed)

        yield hop


async def _one(exchange: AbstractExchange, committed: asyncio.Queue[float]) -> float:
    message = aio_pika.Message(b"x" * 1000, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    began = time.perf_counter()
    await exchange.publish(message, QUEUE)
    ended = await committed.get()
    await asyncio.sleep(0.05)
    return ended - began
