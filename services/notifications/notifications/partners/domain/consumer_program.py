"""Where a partner reads its queue, and a program that does so."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = {"amqp": 5672, "amqps": 5671}
_PROGRAM = """\
# pip install aio-pika; then: PASSWORD=… python consumer.py{ca}
import asyncio, json, os, ssl
import aio_pika

async def main():
    tls = {tls}
    connection = await aio_pika.connect_robust(
        host={host!r}, port={port}, virtualhost={vhost!r}, ssl={is_tls}, ssl_context=tls,
        login={username!r}, password=os.environ["PASSWORD"],
    )
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=50)
        queue = await channel.get_queue({queue!r}, ensure=False)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():  # acknowledged once this block is done
                    sequence = message.headers["cloudEvents_sequence"]
                    print(sequence, message.type, json.loads(message.body), flush=True)

asyncio.run(main())
"""
_CA = "\n# CA=ca.pem: the file that you were given, where your machine does not know its authority."


@dataclass(frozen=True)
class PartnerAddress:
    """Where partners reach the broker."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> PartnerAddress:
        """From an address such as amqps://amqp.example.org:5671."""
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, PORTS["amqps"])
        return cls(host=parts.hostname or "", port=port, tls=parts.scheme != "amqp")


def consumer_program(address: PartnerAddress, *, vhost: str, queue: str, username: str) -> str:
    """A whole program in Python that reads the queue; the password comes from its environment."""
    tls = 'ssl.create_default_context(cafile=os.environ.get("CA"))' if address.tls else "None"
    return _PROGRAM.format(
        ca=_CA if address.tls else "",
        tls=tls,
        is_tls=address.tls,
        host=address.host,
        port=address.port,
        vhost=vhost,
        queue=queue,
        username=username,
    )
