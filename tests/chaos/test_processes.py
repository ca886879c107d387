"""A member that ends by itself is seen, and one behind a line of ours is known by its port."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devkit.processes import NotStarted
from devkit.stack import Stack
from devkit.stack_layout import PROVISIONER

from ..journeys.tcp_proxy import TcpProxy
from .processes import Member, Processes


class Sleeper(Member):
    """A process that does nothing."""

    def launch(self) -> None:
        self._pid = self.process.start(
            [sys.executable, "-c", "import signal; signal.pause()"], env={}
        )

    @property
    def has_api(self) -> bool:
        return False


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    stack = Stack(tmp_path)
    processes = Processes(stack, {})
    processes.members = [Sleeper(stack, PROVISIONER, number) for number in (1, 2)]
    try:
        yield processes
    finally:
        processes.end()


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[int]]]:
    """The url of a server, and the ports that it was called from."""
    callers: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[1])
        writer.write(b"hello\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"tcp://user@127.0.0.1:{server.sockets[0].getsockname()[1]}", callers


@asynccontextmanager
async def a_call(line: TcpProxy) -> AsyncIterator[None]:
    port = int(line.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        assert await reader.readline() == b"hello\n"
        yield
    finally:
        writer.close()
        await writer.wait_closed()


async def test_only_the_killed_member_may_have_another_process(processes: Processes):
    killed, twin = processes.members
    await processes.start()
    before = processes.pids()
    killed.kill()
    killed.launch()

    await processes.wait_unchanged(before, killed.name)
    with pytest.raises(AssertionError, match=rf"^{killed.name}: ended though nobody killed it"):
        await processes.wait_unchanged(before, twin.name)


async def test_a_member_that_is_gone_is_seen_although_nobody_looks_for_it(processes: Processes):
    await processes.start()
    before = processes.pids()
    processes.members[1].process.kill9()

    with pytest.raises(NotStarted, match="ended before it was ready"):
        await processes.wait_unchanged(before, None)


async def test_behind_a_line_a_member_has_the_port_that_the_server_sees(
    processes: Processes, server: tuple[str, list[int]]
):
    url, callers = server
    _, behind = processes.members
    async with TcpProxy.to(url) as line:
        behind.lines = {"database": line}
        async with a_call(line):
            assert processes.talker(PROVISIONER, callers[0]) is behind
            await line.heal()

        assert line.ports == set()
        processes.release_ports()
        assert processes.talker(PROVISIONER, callers[0]) is None
