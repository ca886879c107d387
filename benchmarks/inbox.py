"""Inbox: pages of a long one for many readers beside the barest server, and beside a short one."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from devkit.demo.participants import Participants

from .calls import NARROW
from .fanout import FanoutRuns
from .measured_system import PATIENCE, Broken, MeasuredSystem, in_turns, plain
from .rows import Row, Sense, compared

BUDGET = 0.5
GROWTH_BUDGET = 1.5
"""A page of a long inbox ÷ one of a short one: the same work, on colder data."""
READERS = 50
PAGE = 50
SINGLE_PAGES = 30
_Samples = tuple[list[float], list[float]]
# Each alert is of a subject of its own, and no two contents are the same: nobody gains by that.
_ALERTS = """
WITH made AS (
    INSERT INTO subject (subject_id, service, kind, version, state, content, reference_on)
    SELECT gen_random_uuid(), 'funding', 'call', version, 'over', content, reference_on
      FROM (SELECT * FROM subject_history LIMIT 1) AS one, generate_series(1, $2)
    RETURNING subject_id
), known AS (
    INSERT INTO subject_history (subject_id, version, reference_on, content)
    SELECT made.subject_id, one.version, one.reference_on,
           one.content || jsonb_build_object('announcement_id', made.subject_id)
      FROM made, (SELECT * FROM subject_history LIMIT 1) AS one
    RETURNING subject_id, version
)
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
SELECT known.subject_id, a.cooperative_id, 0, 'opened', known.version, a.audience_version, 1, 0, 0
  FROM known, (SELECT * FROM alert WHERE cooperative_id = $1 LIMIT 1) AS a
"""
_HISTORY = """
INSERT INTO audience_history
SELECT (jsonb_populate_record(NULL::audience_history, to_jsonb(a) || '{"valid_from": "now"}')).*
  FROM audience AS a WHERE cooperative_id = ANY($1)
"""
_RECIPIENTS = "SELECT DISTINCT cooperative_id FROM alert ORDER BY 1 LIMIT 2"


@dataclass(frozen=True)
class _Server:
    """Where pages are asked for, and with which header of a caller."""

    address: tuple[str, int]
    caller: str = ""

    def request(self, cooperative: UUID) -> bytes:
        return (
            f"GET /cooperatives/{cooperative}/alerts HTTP/1.1\r\n"
            f"Host: {self.address[0]}\r\n{self.caller}\r\n"
        ).encode()


async def measure(system: MeasuredSystem) -> list[Row]:
    """Fifty readers of the long inbox on both servers in turns; then one reader of each inbox."""
    with _bare_server(system) as bare:
        many, single = await _measured(system, bare)
    few, all_ = system.sizes.inboxes
    return [
        compared(
            f"inbox: pages of {all_:,} alerts, {READERS} readers",
            *many,
            unit="pages/s",
            budget=BUDGET,
            sense=Sense.AT_LEAST,
            note="÷ the same read by FastAPI and asyncpg alone, without rights and texts",
        ),
        compared(
            f"inbox: a page of {all_:,} ÷ of {few:,} alerts, p50",
            *single,
            unit="ms",
            budget=GROWTH_BUDGET,
            note=f"{PAGE} alerts for one reader who does nothing else",
        ),
    ]


async def _measured(system: MeasuredSystem, bare: _Server) -> tuple[_Samples, _Samples]:
    """Pages a second of both servers, and milliseconds of ours for a long and a short inbox."""
    async with FanoutRuns.begun(system) as fanout_runs:
        await fanout_runs.ours(NARROW)
        short, long = await _inboxes(system, fanout_runs.database)
        ours, pages = await _our_server(system), system.sizes.inbox_pages
        many = await in_turns(
            system,
            system.sizes.rounds,
            lambda: _pages_a_second(ours, long, pages),
            lambda: _pages_a_second(bare, long, pages),
        )
        single = await in_turns(
            system,
            system.sizes.rounds,
            lambda: _milliseconds_a_page(ours, long),
            lambda: _milliseconds_a_page(ours, short),
        )
    return many, single


async def _inboxes(system: MeasuredSystem, database: asyncpg.Connection) -> list[UUID]:
    """Cooperatives with as many alerts as the sizes say, the fewest first."""
    cooperatives = [row["cooperative_id"] for row in await database.fetch(_RECIPIENTS)]
    await database.execute(_HISTORY, cooperatives)
    for cooperative, count in zip(cooperatives, system.sizes.inboxes, strict=True):
        await database.execute(_ALERTS, cooperative, count - 1)
    for table in ("subject", "subject_history", "alert"):
        await database.execute(f"VACUUM ANALYZE {table}")
    await system.checkpoint()
    return cooperatives


async def _our_server(system: MeasuredSystem) -> _Server:
    participants = Participants(system.stack)
    token = await asyncio.to_thread(lambda: participants.operator().token())
    address = urlsplit(system.stack.url("notifications"))
    assert address.hostname is not None
    assert address.port is not None
    return _Server((address.hostname, address.port), f"Authorization: Bearer {token}\r\n")


@contextmanager
def _bare_server(system: MeasuredSystem) -> Iterator[_Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(READERS)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.bare_inbox", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env={**os.environ, "BENCH_DATABASE_URL": plain(system.database_url("notifications"))},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield _Server(listening.getsockname())
        finally:
            process.terminate()
            process.wait(PATIENCE)


async def _pages_a_second(server: _Server, cooperative: UUID, pages: int) -> float:
    """All readers at once, each reading so many pages on a connection of its own."""
    request = server.request(cooperative)
    began = time.perf_counter()
    await asyncio.gather(*(_read(server, request, pages) for _ in range(READERS)))
    return READERS * pages / (time.perf_counter() - began)


async def _milliseconds_a_page(server: _Server, cooperative: UUID) -> float:
    return 1000 * statistics.median(await _read(server, server.request(cooperative), SINGLE_PAGES))


async def _read(server: _Server, request: bytes, count: int) -> list[float]:
    """The seconds of each of `count` pages, read one after the other on one connection."""
    reader, writer = await asyncio.open_connection(*server.address)
    seconds = []
    try:
        for _ in range(count):
            began = time.perf_counter()
            writer.write(request)
            await _finish(reader)
            seconds.append(time.perf_counter() - began)
    finally:
        writer.close()
        await writer.wait_closed()
    return seconds


async def _finish(reader: asyncio.StreamReader) -> None:
    """Read one answer to its end: no client's own work stands between."""
    status = await reader.readline()
    length = 0
    while (line := await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = await reader.readexactly(length)
    if b" 200 " not in status or len(body) < 100 * PAGE:
        raise Broken(f"no page of an inbox: {status!r} {body[:300]!r}")
