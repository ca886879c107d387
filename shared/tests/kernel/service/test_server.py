"""The sockets on which a service listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shared.kernel.service.server import bound


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_what_is_written_to_a_client_leaves_at_once(host: str):
    """A second write does not wait for the acknowledgement of the first."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = bound(host, 0)
    async with await asyncio.start_server(accept, sock=listening):
        _, client = await asyncio.open_connection(*listening.getsockname()[:2])
        assert await accepted.get()
        client.close()
