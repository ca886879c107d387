"""A line to a server that can be cut in the middle of a frame, and on which words can get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

CHUNK = 65536
CUTTING_SECONDS = 0.3


class Line:
    """Carries everything both ways, until it goes not consuming or is cut."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._port = 0
        self._is_not_reading = False
        self._is_dead = False
        self._is_cutting = False
        self._talks: set[asyncio.Task[None]] = set()
        self.ports: set[int] = set()
        """From which the server hears this line: whose words come from there are carried by it."""
        self.lost_bytes = 0
        self.torn = 0
        """How often a talk ended with a part of what was being said."""

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Line]:
        """A line to the server of this url; whoever still talks over it at the end is cut off."""
        line = cls(url)
        server = await asyncio.start_server(line._answer, "127.0.0.1", 0)
        line._port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            await line._hang_up()

    @property
    def url(self) -> str:
        """The server's url, over this line."""
        return self.over(self._server.geturl())

    def over(self, url: str) -> str:
        """Another url of the same server, over this line."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self._port}").geturl()

    def stop_reading(self) -> None:
        """From now on the server hears and does what it is asked, and nobody hears that it did."""
        self._is_not_reading = True

    def go_dead(self) -> None:
        """From now on nobody hears anybody, and nobody is alerted so: the line is half open."""
        self._is_not_reading = self._is_dead = True

    async def heal(self) -> None:
        """Those who missed something are cut off; whoever comes now is heard."""
        await self._hang_up()
        self._is_not_reading = self._is_dead = False

    async def cut(self) -> int:
        """Cut everybody off, whoever talks just then in mid-frame; how many were torn apart."""
        self._is_cutting, before = True, self.torn
        if self._talks:
            await asyncio.wait(set(self._talks), timeout=CUTTING_SECONDS)
        await self._hang_up()
        self._is_cutting = False
        return self.torn - before

    async def _hang_up(self) -> None:
        talks = set(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def _answer(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(inward, outward))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        # A talk that was cut off before it began has closed nothing.
        talk.add_done_callback(lambda _: outward.close())

    async def _talk(self, inward: asyncio.StreamReader, outward: asyncio.StreamWriter) -> None:
        """Until either side hangs up; then the other is cut off too."""
        with closing(outward), suppress(OSError):
            host, port = self._server.hostname, self._server.port
            from_server, to_server = await asyncio.open_connection(host, port)
            port = to_server.get_extra_info("sockname")[1]
            self.ports.add(port)
            with closing(to_server):
                ways = {
                    asyncio.create_task(self._carry(inward, to_server, answers=False)),
                    asyncio.create_task(self._carry(from_server, outward, answers=True)),
                }
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    self.ports.discard(port)
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while chunk := await source.read(CHUNK):
            if self._is_not_reading and (answers or self._is_dead):
                self.lost_bytes += len(chunk)
                continue
            if self._is_cutting and len(chunk) > 1:
                self.torn += 1
                chunk = chunk[: len(chunk) // 2]
            target.write(chunk)
            await target.drain()
            if self._is_cutting:
                return
