"""A TCP proxy that can cut connections in the middle of a frame, or lose what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

CHUNK = 65536
CUTTING_SECONDS = 0.3


class TcpProxy:
    """Forwards both ways until it has to drop bytes or to cut the connections."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._port = 0
        self._drops_replies = False
        self._drops_all = False
        self._is_cutting = False
        self._connections: set[asyncio.Task[None]] = set()
        self.ports: set[int] = set()
        """Local ports of the connections from this proxy to the server."""
        self.lost_bytes = 0
        self.torn = 0
        """How many connections were cut in the middle of a chunk."""

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[TcpProxy]:
        """A proxy to the server of this url; connections still open at the end are closed."""
        proxy = cls(url)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy._port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            await proxy._close_all()

    @property
    def url(self) -> str:
        """The server's url, through this proxy."""
        return self.over(self._server.geturl())

    def over(self, url: str) -> str:
        """Another url of the same server, through this proxy."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self._port}").geturl()

    def drop_replies(self) -> None:
        """From now on requests reach the server, but its replies are dropped."""
        self._drops_replies = True

    def drop_all(self) -> None:
        """From now on bytes of both directions are dropped: connections are half open."""
        self._drops_replies = self._drops_all = True

    async def heal(self) -> None:
        """Close connections that lost bytes; new ones are forwarded."""
        await self._close_all()
        self._drops_replies = self._drops_all = False

    async def cut(self) -> int:
        """Cut all connections, busy ones in the middle of a chunk; how many of these there were."""
        self._is_cutting, before = True, self.torn
        if self._connections:
            await asyncio.wait(set(self._connections), timeout=CUTTING_SECONDS)
        await self._close_all()
        self._is_cutting = False
        return self.torn - before

    async def _close_all(self) -> None:
        connections = set(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._forward(inward, outward))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # A connection that was cut before it began has closed nothing.
        connection.add_done_callback(lambda _: outward.close())

    async def _forward(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        """Until either side closes; then the other side is closed too."""
        with closing(outward), suppress(OSError):
            host, port = self._server.hostname, self._server.port
            from_server, to_server = await asyncio.open_connection(host, port)
            port = to_server.get_extra_info("sockname")[1]
            self.ports.add(port)
            with closing(to_server):
                copies = {
                    asyncio.create_task(self._copy(inward, to_server, is_reply=False)),
                    asyncio.create_task(self._copy(from_server, outward, is_reply=True)),
                }
                try:
                    await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for copy in copies:
                        copy.cancel()
                    self.ports.discard(port)
                    await asyncio.gather(*copies, return_exceptions=True)

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        while chunk := await source.read(CHUNK):
            if self._drops_replies and (is_reply or self._drops_all):
                self.lost_bytes += len(chunk)
                continue
            if self._is_cutting and len(chunk) > 1:
                self.torn += 1
                chunk = chunk[: len(chunk) // 2]
            target.write(chunk)
            await target.drain()
            if self._is_cutting:
                return
