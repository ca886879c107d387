"""A line to the broker on which answers can get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

CHUNK = 65536


class Line:
    """Carries everything both ways, until it goes deaf: then what the broker answers is lost."""

    def __init__(self, amqp_url: str) -> None:
        self._broker = urlsplit(amqp_url)
        self._port = 0
        self._is_deaf = False
        self._talks: set[asyncio.Task[None]] = set()
        self.lost_bytes = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, amqp_url: str) -> AsyncIterator[Line]:
        """A line to this broker; whoever still talks over it at the end is cut off."""
        line = cls(amqp_url)
        server = await asyncio.start_server(line._answer, "127.0.0.1", 0)
        line._port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            for talk in line._talks:
                talk.cancel()
            await asyncio.gather(*line._talks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The broker's url, over this line."""
        login = self._broker.netloc.rpartition("@")[0]
        return self._broker._replace(netloc=f"{login}@127.0.0.1:{self._port}").geturl()

    def go_deaf(self) -> None:
        """From now on the broker hears and does what it is asked, and nobody hears that it did."""
        self._is_deaf = True

    def _answer(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(inward, outward))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        """Until either side hangs up; then the other is cut off too."""
        with closing(outward), suppress(OSError):
            host, port = self._broker.hostname, self._broker.port
            from_broker, to_broker = await asyncio.open_connection(host, port)
            with closing(to_broker):
                ways = {
                    asyncio.create_task(self._carry(inward, to_broker, loses=False)),
                    asyncio.create_task(self._carry(from_broker, outward, loses=True)),
                }
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, loses: bool
    ) -> None:
        while chunk := await source.read(CHUNK):
            if loses and self._is_deaf:
                self.lost_bytes += len(chunk)
                continue
            target.write(chunk)
            await target.drain()
