"""A real server and clients that stop in the middle of a request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from devkit.pytest_plugin import eventually, test_settings
from shared.kernel.service import slow_readers
from shared.kernel.service.app import build
from shared.kernel.service.server import config_of
from shared.kernel.service.slow_readers import LEAST_BYTES_A_SECOND
from shared.kernel.service.spec import ServiceSpec

SECONDS = 0.5
STEADY_SECONDS = 3.0
STEADY = b"x" * int(STEADY_SECONDS * LEAST_BYTES_A_SECOND)
PART = 1000
SMALL = 2048
"""A client's buffer of so many bytes makes the server keep the rest."""


@dataclass
class Running:
    """The server, and an event that lets a route go on that has begun to read a body."""

    server: uvicorn.Server
    port: int
    begun: asyncio.Event
    go_on: asyncio.Event
    clients: list[Client] = field(default_factory=list)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    async def connected(self, *first: bytes, buffer: int | None = None) -> Client:
        connection = socket.socket()
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await asyncio.to_thread(connection.connect, ("127.0.0.1", self.port))
        limit = {} if buffer is None else {"limit": buffer}
        client = Client(*await asyncio.open_connection(sock=connection, **limit))
        client.send(*first)
        self.clients.append(client)
        return client


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *parts: bytes) -> None:
        self.writer.writelines(parts)

    async def end(self) -> bytes:
        """All that was answered, once the server has closed the connection."""
        async with asyncio.timeout(20):
            return await self.reader.read()

    async def status(self) -> bytes:
        async with asyncio.timeout(20):
            return (await self.reader.readline()).split()[1]


@asynccontextmanager
async def running(*, kept: int | None = None, **settings: Any) -> AsyncIterator[Running]:
    begun, go_on = asyncio.Event(), asyncio.Event()
    router = APIRouter()

    @router.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @router.post("/slow-work")
    async def slow_work(request: Request) -> int:
        read = 0
        async for part in request.stream():
            read += len(part)
            begun.set()
            await go_on.wait()
        return read

    @router.post("/wait-then-read")
    async def wait_then_read(request: Request) -> int:
        begun.set()
        await go_on.wait()
        return len(await request.body())

    @router.get("/long")
    async def long(size: int) -> Response:
        return StreamingResponse(b"x" * PART for _ in range(size // PART))

    known = test_settings("wall", "postgresql+asyncpg://x@127.0.0.1:1/x", **settings)
    config = config_of(build(ServiceSpec(name="wall", routers=(router,)), known), known)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    if kept is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kept)
    # Not `serve`: it takes over the signals, which belong to the test run.
    task = asyncio.create_task(server._serve(sockets=[listening]))
    await eventually(lambda: server.started)
    port = listening.getsockname()[1]
    service = Running(server, port, begun, go_on)
    try:
        yield service
    finally:
        for client in service.clients:
            client.writer.close()
        go_on.set()
        server.should_exit = True
        await task


POST = b"POST %s HTTP/1.1\r\nHost: wall\r\nContent-Length: %d\r\n\r\n"


async def test_a_connection_that_sends_nothing_is_closed_without_a_word():
    async with running(http_request_seconds=SECONDS) as service:
        silent = await service.connected()

        assert await silent.end() == b""
        await eventually(lambda: service.connections == 0)


@pytest.mark.parametrize(
    "begun",
    [b"G", b"GET /healthz HTTP/1.1\r\nHost: wall\r\nX-Slow: ", POST % (b"/length", 50) + b"{"],
    ids=["a byte", "headers", "a body"],
)
async def test_a_request_that_does_not_go_on_is_answered_408_and_closed(begun: bytes):
    async with running(http_request_seconds=SECONDS) as service:
        slow = await service.connected(begun)

        answer = await slow.end()

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"slow-request" in answer
        await eventually(lambda: service.connections == 0)


async def test_a_body_that_trickles_is_refused_and_one_that_flows_is_not():
    async with running(http_request_seconds=SECONDS) as service:
        slow = await service.connected(POST % (b"/length", 100_000))
        trickle = asyncio.create_task(_send_again(slow, b"x"))
        assert (await slow.end()).startswith(b"HTTP/1.1 408 ")
        trickle.cancel()

    # Ten parts come in each span of time, for a busy machine may keep some of them back.
    async with running(http_request_seconds=STEADY_SECONDS) as service:
        steady = await service.connected(POST % (b"/length", 15 * len(STEADY)))
        for _ in range(15):
            await asyncio.wait_for(_after(STEADY_SECONDS / 10), 20)
            steady.send(STEADY)
        assert await steady.status() == b"200"


async def test_what_follows_an_answer_that_came_before_its_body_has_to_come_too():
    async with running(http_request_seconds=SECONDS) as service:
        refused = await service.connected(POST % (b"/nowhere", 50))

        answer = await refused.end()

        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"408" not in answer


async def test_a_client_is_not_refused_for_what_the_service_does_not_read():
    size = 200_000  # more than the server takes ahead
    async with running(http_request_seconds=SECONDS) as service:
        client = await service.connected(POST % (b"/slow-work", size), b"x" * size)
        await service.begun.wait()
        await _after(3 * SECONDS)
        service.go_on.set()

        assert await client.status() == b"200"


async def test_a_client_that_waits_to_be_asked_for_its_body_is_not_refused():
    async with running(http_request_seconds=SECONDS) as service:
        head = (POST % (b"/wait-then-read", 4)).removesuffix(b"\r\n")
        client = await service.connected(head, b"Expect: 100-continue\r\n\r\n")
        await service.begun.wait()
        await _after(3 * SECONDS)
        service.go_on.set()

        assert await client.status() == b"100"
        client.send(b"body")
        assert b"HTTP/1.1 200 " in await client.reader.readuntil(b"200 OK")


LONG = b"GET /long?size=%d HTTP/1.1\r\nHost: wall\r\n\r\n"


@pytest.fixture
def fast_least(monkeypatch):
    """The transport's limit of 64 KB has to be taken in a fraction of a second."""
    monkeypatch.setattr(slow_readers, "LEAST_BYTES_A_SECOND", 400_000)


async def test_a_client_that_does_not_read_its_answer_is_cut_off(fast_least):
    async with running(http_request_seconds=SECONDS) as service:
        await service.connected(LONG % 40_000_000, buffer=SMALL)
        await eventually(lambda: service.connections == 1)

        await eventually(lambda: service.connections == 0)


async def test_the_rest_of_an_answer_is_waited_for_no_longer_than_its_middle(fast_least):
    async with running(http_request_seconds=SECONDS, kept=SMALL) as service:
        await service.connected(LONG % 60_000, buffer=SMALL)
        await eventually(lambda: service.server.server_state.total_requests == 1)

        await eventually(lambda: service.connections == 0)


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(fast_least):
    size = 3_000_000
    async with running(http_request_seconds=SECONDS) as service:
        client = await service.connected(LONG % size, buffer=SMALL)
        read = 0
        while read < size:
            part = await client.reader.read(SMALL)
            assert part, f"cut off after {read} bytes"
            read += len(part)


async def test_above_so_many_connections_requests_are_refused_at_once():
    async with running(http_connections=2) as service:
        await service.connected()
        await eventually(lambda: service.connections == 1)
        second = await service.connected(b"GET /healthz HTTP/1.1\r\nHost: wall\r\n\r\n")

        answer = (await second.end()).lower()

        assert b" 503 " in answer.splitlines()[0]
        assert b"\r\nx-content-type-options: nosniff\r\n" in answer


async def _send_again(client: Client, part: bytes) -> None:
    while True:
        client.send(part)
        await _after(SECONDS / 5)


async def _after(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await eventually(lambda: loop.time() > end)


async def test_an_idle_connection_is_closed_after_the_time_that_is_set():
    async with running(http_keep_alive_seconds=1) as service:
        began = asyncio.get_running_loop().time()
        idle = await service.connected(b"GET /long?size=10 HTTP/1.1\r\nHost: wall\r\n\r\n")

        assert (await idle.end()).startswith(b"HTTP/1.1 200")
        assert asyncio.get_running_loop().time() - began >= 1


def test_an_idle_connection_outlives_the_time_for_which_clients_keep_theirs():
    """At the same moment a request would meet the closing."""
    known = test_settings("wall", "postgresql+asyncpg://x@127.0.0.1:1/x")
    kept = config_of(build(ServiceSpec(name="wall"), known), known).timeout_keep_alive

    assert kept >= 2 * (httpx.Limits().keepalive_expiry or 0)
