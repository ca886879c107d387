"""Peers: the same calls alerted by Celery and Dramatiq, on the same broker, into the same table."""

from __future__ import annotations

import asyncio
import importlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from devkit.processes import Process
from shared.contracts.base import new_id

from .calls import NARROW, WIDE, BenchCall
from .fanout import FanoutRuns
from .measured_system import BENCH_VHOST, MeasuredSystem, plain, until
from .rows import Row, Sense, compared

ROOT = Path(__file__).parents[1]
BUDGETS = {"Celery": 90.0, "Dramatiq": 40.0}
"""How many times as fast the wide call must be (design), against one task per recipient."""
WORKERS = {
    "Celery": [
        *("celery", "-A", "benchmarks.peers.celery_app", "worker", "--concurrency", "2"),
        *("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ],
    "Dramatiq": ["dramatiq", "benchmarks.peers.dramatiq_app", "--processes", "2", "--threads", "4"],
}
Send = Callable[[str, str, int], Any]


async def measure(system: MeasuredSystem) -> list[Row]:
    """Ours once more, then each peer; both write to the same table in the same run."""
    rows: list[Row] = []
    async with FanoutRuns.begun(system) as fanout_runs:
        ours = {
            call.name: [await fanout_runs.ours(call) for _ in range(system.sizes.peer_rounds + 2)][
                1:
            ]
            for call in (WIDE, NARROW)
        }
        async with _workers(system, "Celery"):
            celery = importlib.import_module("benchmarks.peers.celery_app")
            each, chunks = celery.fan_out.delay, celery.fan_out_in_chunks.delay
            title = "Celery, one task per recipient"
            rows += await _compare(system, fanout_runs, ours, title, each, BUDGETS["Celery"])
            rows += await _compare(system, fanout_runs, ours, "Celery, chunks of 500", chunks, None)
            celery.app.close()
        async with _workers(system, "Dramatiq"):
            dramatiq = importlib.import_module("benchmarks.peers.dramatiq_app")
            title = "Dramatiq, one message per recipient"
            send = dramatiq.fan_out.send
            rows += await _compare(system, fanout_runs, ours, title, send, BUDGETS["Dramatiq"])
            dramatiq.broker.close()
    return rows


@asynccontextmanager
async def _workers(system: MeasuredSystem, peer: str) -> AsyncIterator[None]:
    """The peer's own worker command, ended whatever happens."""
    # Its client in this process reads the same two.
    os.environ["BENCH_AMQP_URL"] = system.stack.broker.admin_url(BENCH_VHOST)
    os.environ["BENCH_DATABASE_URL"] = plain(system.database_url("notifications"))
    process = Process(system.stack.folder / "processes", peer.lower())
    program, *arguments = WORKERS[peer]
    command = [str(Path(sys.executable).parent / program), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        await asyncio.to_thread(process.start, command, env=environment, cwd=system.stack.folder)
        yield
    finally:
        await asyncio.to_thread(process.stop, 20)


async def _compare(
    system: MeasuredSystem,
    fanout_runs: FanoutRuns,
    ours: dict[str, list[float]],
    title: str,
    send: Send,
    budget: float | None,
) -> list[Row]:
    # The first alerts one recipient, and is done when the workers are there and warm.
    await _alerted(fanout_runs.database, send, NARROW, 1)
    rows = []
    for call in (WIDE, NARROW):
        matches = fanout_runs.matches(call)
        limit = matches
        if call is WIDE and budget is not None:
            limit = min(matches, system.sizes.peer_recipients)
        samples = [
            await _alerted(fanout_runs.database, send, call, limit) * matches / limit
            for _ in system.rounds(system.sizes.peer_rounds)
        ]
        scaled = f", scaled from {limit:,} recipients" if limit < matches else ""
        rows.append(
            compared(
                f"{title}, {call.name} call",
                ours[call.name],
                samples,
                unit="s",
                budget=budget if call is WIDE else None,
                sense=Sense.AT_LEAST,
                peer=True,
                note=f"how many times as long it takes to alert {matches:,}{scaled}",
            )
        )
        system.say(f"{title}, {call.name}: {statistics.median(samples):.2f} s")
    return rows


async def _alerted(database: asyncpg.Connection, send: Send, call: BenchCall, limit: int) -> float:
    """From the message that the call is open to the last alert committed."""
    await database.execute("TRUNCATE alert")
    subject = str(new_id())
    began = time.perf_counter()
    await asyncio.to_thread(send, subject, call.ids, limit)

    async def all_alerted() -> bool:
        return await _count(database, subject) >= limit

    await until(all_alerted, every=0.02)
    return time.perf_counter() - began


async def _count(database: asyncpg.Connection, subject: str) -> int:
    query = "SELECT count(*) FROM alert WHERE subject_id = $1"
    return int(await database.fetchval(query, subject))


def missing() -> Sequence[str]:
    """Packages of the bench group that are not installed."""
    names = ("celery", "dramatiq", "psycopg")
    return [name for name in names if importlib.util.find_spec(name) is None]
