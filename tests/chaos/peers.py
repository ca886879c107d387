"""Faults of peers and surroundings: nothing of ours dies, and its work must go on all the same."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from devkit.stack_layout import SERVICES
from shared.kernel.messaging.addresses import VHOST
from shared.kernel.messaging.topology import Tier

from ..journeys.request_bodies import a_track
from ..journeys.stories import SHORT_DELAYS, Partner, PartnerQueue
from .faults import FaultContext, Injection, frozen
from .load import Subject, key_of
from .partner_reader import StreamReader
from .stop_moments import DELIVERY, FANOUT

RETRY, UNREAD = "retry", "unread answer"
"""What was open when a fault of these came, beside the windows of `stop_moments`."""
STRAYS = 40
"""More messages for a queue that is gone than a retry tier of RabbitMQ 3.10 may wait for (32)."""
SILENT_CLIENTS = 30
"""Clients of each service that ask and never read."""
SMALLEST_BUFFER = 2048
WAITING_SECONDS = 60.0


async def jam_retry_tiers(context: FaultContext) -> Injection:
    """Messages for a queue that is gone fill every retry tier, while an event must be tried again.

    The event fails because a table is away for a moment, and waits behind the others in its tier.
    """
    await context.delay()
    async with _admin_channel(context) as channel:
        tiers = [Tier(float(pause)) for pause in SHORT_DELAYS["TAAWON_RETRY_DELAYS"].split(",")]
        retried = await _copies_of(channel, tiers[0])
        await _publish_strays(channel, tiers)
        async with _table_away(context, "subject_history"):
            call_id = await context.load.open_call(
                key_of(context.random), a_track(provinces=["MA-TIZ"])
            )
            async with asyncio.timeout(WAITING_SECONDS):
                await retried.wait()
    context.load.subjects.append(Subject(call_id, is_call=True, is_still=True))
    recovered, settled = await context.recovery("funding", time.monotonic())
    return Injection(RETRY, recovered, settled)


@asynccontextmanager
async def _admin_channel(context: FaultContext) -> AsyncIterator[AbstractChannel]:
    url = await asyncio.to_thread(context.story.stack.broker.admin_url, VHOST)
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def _copies_of(channel: AbstractChannel, tier: Tier) -> asyncio.Event:
    """Set once an event of notifications has come into this tier."""
    seen = asyncio.Event()

    def receive(message: AbstractIncomingMessage) -> None:
        if (message.routing_key or "").startswith("notifications."):
            seen.set()

    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(await channel.get_exchange(tier.name))
    await queue.consume(receive, no_ack=True)
    return seen


async def _publish_strays(channel: AbstractChannel, tiers: list[Tier]) -> None:
    for tier in tiers:
        exchange = await channel.get_exchange(tier.name)
        for _ in range(STRAYS):
            await exchange.publish(aio_pika.Message(b"{}"), routing_key="removed.consumer")


@asynccontextmanager
async def _table_away(context: FaultContext, table: str) -> AsyncIterator[None]:
    """What needs this table of notifications fails meanwhile."""
    async with context.story.database("notifications") as connection:
        await connection.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            await connection.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


async def revoke_client(context: FaultContext) -> Injection:
    """A partner's client is revoked while its queue is fed; a second client gets all of its feed.

    Whoever read the queue is cut off at once, and its password opens nothing any more.
    """
    partner = await context.story.register_partner()
    subscription = await context.story.subscribe(partner)
    reader = StreamReader(partner, await context.story.request_partner_queue(partner))
    async with _reading(reader):
        async with frozen(context, "notifications", of=(DELIVERY,)) as it:
            await _revoke(context, partner)
        since = time.monotonic()
        await context.story.eventually(lambda: _is_closed(reader.partner_queue))
    reader.partner = await _second_client(context, partner)
    reader.partner_queue = await context.story.request_partner_queue(reader.partner)
    async with _reading(reader):
        recovered, settled = await context.recovery("funding", since)
        path = f"/subscriptions/{subscription}"
        await context.load.ask("notifications", "DELETE", path, who=reader.partner)
        await context.story.eventually(lambda: _has_come(context, reader), within=WAITING_SECONDS)
    assert not (faults := reader.faults(await _feed(context, reader))), faults
    return Injection(it.hit, recovered, settled)


@asynccontextmanager
async def _reading(reader: StreamReader) -> AsyncIterator[None]:
    task = asyncio.create_task(reader.read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _revoke(context: FaultContext, partner: Partner) -> None:
    path = f"/partners/{partner.slug}/clients"
    (client,) = (await context.load.ask("registry", "GET", path)).json()["items"]
    answer = await context.load.ask("registry", "DELETE", f"{path}/{client['client_id']}")
    assert answer.status_code in (204, 404), answer.text


async def _is_closed(partner_queue: PartnerQueue) -> bool:
    try:
        async with await aio_pika.connect(partner_queue.url, timeout=5):
            return False
    except aio_pika.exceptions.AMQPError:
        return True


async def _second_client(context: FaultContext, partner: Partner) -> Partner:
    path = f"/partners/{partner.slug}/clients"
    made = (await context.load.ask("registry", "POST", path, json={"label": "second"})).json()
    form = {"grant_type": "client_credentials"}
    form |= {name: made[name] for name in ("client_id", "client_secret")}
    return Partner(await context.story.token(form), slug=partner.slug)


async def _has_come(context: FaultContext, reader: StreamReader) -> bool:
    return len(await _feed(context, reader)) <= len({number for number, _ in reader.came})


async def _feed(context: FaultContext, reader: StreamReader) -> list[tuple[int, UUID]]:
    feed: list[tuple[int, UUID]] = []
    while True:
        after = str(feed[-1][0]) if feed else "0"
        page = await context.story.feed(reader.partner, after=after)
        if not page:
            return feed
        feed += [(int(item["sequence"]), UUID(item["id"])) for item in page]


async def stop_reading(context: FaultContext) -> Injection:
    """Many clients ask every service for long answers and read nothing until all is well again."""
    await context.delay()
    with ExitStack() as stack:
        asked = await asyncio.to_thread(_ask_and_stay_silent, context, stack)
        await context.story.eventually(lambda: _unread(asked), within=WAITING_SECONDS)
        since = time.monotonic()
        recovered, settled = await context.recovery("registry", since)
        hit = UNREAD if _unread(asked) else None
    return Injection(hit, recovered, settled)


LONG_ANSWERS = {
    "registry": "/cooperatives?limit=200",
    "ideas": "/openapi.json",
    "funding": "/openapi.json",
    "notifications": "/subjects?limit=200",
}
"""What fills the buffers of a connection whose client does not read."""


def _ask_and_stay_silent(context: FaultContext, stack: ExitStack) -> set[int]:
    """Connections that have asked; returns their ports on this side."""
    asked = set()
    for service in SERVICES:
        for member in context.processes.of(service):
            for _ in range(SILENT_CLIENTS):
                client = stack.enter_context(_silent_client(member.url))
                head = _request(LONG_ANSWERS[service], context.story.operator.token)
                client.sendall(head)
                asked.add(client.getsockname()[1])
    return asked


def _silent_client(url: str) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
    client.settimeout(WAITING_SECONDS)
    parts = urlsplit(url)
    client.connect((parts.hostname, parts.port))
    return client


def _request(path: str, token: str) -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    return 4 * head.encode()


def _unread(ports: set[int]) -> int:
    """How many of the connections hold bytes that their client's side has not taken."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    waiting = {int(row[2].partition(":")[2], 16) for row in rows if int(row[4][:8], 16)}
    return len(waiting & ports)


async def correct_with_stale_statistics(context: FaultContext) -> Injection:
    """A wide call is corrected at once, and a process is killed in that; statistics know neither.

    They were made a moment before, and expect few alerts of a subject.
    """
    await context.delay()
    async with context.story.database("notifications") as connection:
        await connection.execute("ALTER TABLE alert SET (autovacuum_enabled = false)")
        await connection.execute("ANALYZE alert")
        try:
            call_id = await context.load.open_call(key_of(context.random), *WIDE)
            context.load.subjects.append(Subject(call_id, is_call=True, is_still=False))
            await context.load.until_alerted(call_id, 2)
            extending = asyncio.create_task(context.load.extend(call_id))
            async with frozen(context, "notifications", of=(FANOUT,)) as it:
                await asyncio.to_thread(it.member.kill)
            since = time.monotonic()
            await asyncio.to_thread(it.member.launch)
            await extending
            await context.load.until_alerted(call_id, 3)
            recovered, settled = await context.recovery("notifications", since)
        finally:
            await connection.execute("ALTER TABLE alert RESET (autovacuum_enabled)")
    return Injection(it.hit, recovered, settled, killed=it.member.name)


WIDE = (
    a_track(min_members=1),
    a_track(regions=["MA-09"], min_share_women={"percent": 50}),
)
"""Two tracks, of which the first is for nearly everybody."""

PeerFault = Callable[[FaultContext], Awaitable[Injection]]
PEER_FAULTS: tuple[tuple[str, str, PeerFault], ...] = (
    ("messages for no queue", "retry tiers", jam_retry_tiers),
    ("client revoked", "partner queue", revoke_client),
    ("answers never read", "all services", stop_reading),
    ("statistics of before, kill -9", "correction", correct_with_stale_statistics),
)
"""Name of the fault, what it strikes, and what makes it."""
