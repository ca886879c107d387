"""What refusing costs: processor time of a 429 whatever the body, in a server of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from shared.kernel.observability import logs
from shared.kernel.service.app import build
from shared.kernel.service.server import config_of
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from .measured_system import PATIENCE, MeasuredSystem
from .rows import Row, limited

MOST_MS = 2.0
BODY = b"[" + b"[]," * 86_999 + b"[]]"
"""The most elements that a body of the size that services take can have."""
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


async def measure(system: MeasuredSystem) -> list[Row]:
    """The first request is allowed, and the next ones warm up; then come those that count."""
    spent = await asyncio.to_thread(_milliseconds_per_refusal, 50 * system.sizes.rounds)
    return [
        limited(
            "429 of a body of 261 KB, processor time",
            spent,
            MOST_MS,
            unit="ms",
            note=f"user and system time of the serving process per request; {len(BODY):,} bytes of"
            " empty lists, which take about 30 ms to parse",
        )
    ]


def _milliseconds_per_refusal(count: int) -> float:
    with _server() as (pid, port), httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        for _ in range(20):
            _send(http, port)
        before = _spent(pid)
        for _ in range(count):
            if _send(http, port) != 429:
                raise RuntimeError("a request above the limit was not refused")
        return (_spent(pid) - before) / count


def _send(http: httpx.Client, port: int) -> int:
    headers = {"Content-Type": "application/json"}
    return http.post(f"http://127.0.0.1:{port}/", content=BODY, headers=headers).status_code


def _spent(pid: int) -> float:
    """Milliseconds of processor time that a process has taken."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) * TICK_MS


@contextmanager
def _server() -> Iterator[tuple[int, int]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        command = [sys.executable, "-m", "benchmarks.refusing", str(listening.fileno())]
        process = subprocess.Popen(
            command,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process.pid, listening.getsockname()[1]
        finally:
            process.terminate()
            process.wait(PATIENCE)


def serve(descriptor: int) -> None:
    """A service without routes that allows each address one request a minute."""
    settings = Settings(
        service="bench",
        database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none",
        amqp_url="amqp://nobody@127.0.0.1:1/",
        rate_limit_address=1,
    )
    logs.configure("bench")
    config = config_of(build(ServiceSpec(name="bench"), settings), settings)
    config.lifespan = "off"
    uvicorn.Server(config).run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
