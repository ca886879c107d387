"""Sees what a service has open in its database at a moment, and stops the process right there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from random import Random

import asyncpg

from devkit.stack_layout import PROVISIONER
from notifications.audience.models import AUDIENCE_LOCK
from shared.kernel.messaging.relay import RELAY_LOCK

from ..journeys.stories import Story
from .processes import Member, Processes

FANOUT, STORING, PUBLISH, DELIVERY, PARTNER_QUEUE = (
    "fan-out",
    "audience",
    "publish",
    "delivery",
    "partner_queue",
)
KINDS = (FANOUT, STORING, PUBLISH, DELIVERY, PARTNER_QUEUE)
LAG = 0.03
"""The longest wait, in seconds, between the sight of a window and the freeze."""
ARRIVAL = 0.005
"""Seconds that what a process sent last may be under way to its server."""

_ADVISORY = """
EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory'
        AND l.classid::bigint << 32 | l.objid::bigint = {key} AND {condition})
"""
_LOOK = f"""
SELECT a.pid, a.client_port, a.xact_start,
    {_ADVISORY.format(key=AUDIENCE_LOCK, condition="l.mode = 'ExclusiveLock'")} AS fans_out,
    {_ADVISORY.format(key=AUDIENCE_LOCK, condition="l.mode = 'ShareLock'")} AS stores,
    {_ADVISORY.format(key=RELAY_LOCK, condition="l.granted")} AND EXISTS (
        SELECT FROM outbox WHERE published_at IS NULL AND quarantined_at IS NULL) AS publishes,
    a.query LIKE '%FROM feed_entry%' AND EXISTS (
        SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.mode = 'RowShareLock'
            AND l.relation = to_regclass('partner_queue')) AS delivers,
    false AS makes
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.application_name = $1 AND a.xact_start IS NOT NULL
    AND a.state IN ('active', 'idle in transaction') AND a.query NOT ILIKE 'commit%'
"""
# A partner queue is made with nothing open in the database: whoever has looked since it was
# requested works on it until it is ready.
_LOOK_AT_PARTNER_QUEUES = """
SELECT a.pid, a.client_port, a.state_change AS xact_start, false AS fans_out, false AS stores,
    false AS publishes, false AS delivers, true AS makes
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.application_name = $1 AND a.state = 'idle'
    AND EXISTS (SELECT FROM partner_queue d WHERE d.state = 'requested'
        AND a.state_change > d.requested_at)
"""


@dataclass(frozen=True)
class Window:
    """What a service is in the middle of: an open transaction, or making a partner queue."""

    kind: str
    session: int
    port: int
    since: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> Window | None:
        flags = (
            (PARTNER_QUEUE, row["makes"]),
            (FANOUT, row["fans_out"]),
            (STORING, row["stores"]),
            (PUBLISH, row["publishes"]),
            (DELIVERY, row["delivers"]),
        )
        kind = next((name for name, is_so in flags if is_so), None)
        if kind is None:
            return None
        return cls(kind, row["pid"], row["client_port"], row["xact_start"])


@dataclass(frozen=True)
class Caught:
    """A frozen process with its transaction open behind it."""

    window: Window
    member: Member


class WindowFinder:
    """Finds what one service has open, in its database and as its own role."""

    def __init__(self, story: Story, processes: Processes, target: str, random: Random) -> None:
        self.story = story
        self.processes = processes
        self.target = target
        self.random = random
        self.service = "notifications" if target == PROVISIONER else target

    async def catch(self, *, patience: float, wanted: tuple[str, ...] = KINDS) -> Caught | None:
        """Freeze the process whose window was seen, if the window is still open then.

        It waits a random time first, shorter after each window that had closed by then; otherwise
        only the longest would be met. A frozen process can't commit; a commit that was
        on its way has arrived by the second look, and shows.
        """
        missed = 0
        end = time.monotonic() + patience
        self.processes.release_ports()
        async with self.story.database(self.service) as connection:
            while time.monotonic() < end:
                for window in await self._windows(connection):
                    member = self.processes.talker(self.target, window.port)
                    if member is None or window.kind not in wanted:
                        continue
                    await asyncio.sleep(self.random.uniform(0, LAG / (1 + missed)))
                    with frozen_unless_kept(member) as freeze:
                        if await self._stays(connection, window):
                            freeze.kept = True
                            return Caught(window, member)
                    missed += 1
                await asyncio.sleep(0)
        return None

    async def _stays(self, connection: asyncpg.Connection, window: Window) -> bool:
        await asyncio.sleep(ARRIVAL)
        return window in await self._windows(connection)

    async def _windows(self, connection: asyncpg.Connection) -> list[Window]:
        look = _LOOK_AT_PARTNER_QUEUES if self.target == PROVISIONER else _LOOK
        rows = await connection.fetch(look, f"taawon {self.target}")
        seen = [Window.of(row) for row in rows]
        return [window for window in seen if window is not None]


@dataclass
class Freeze:
    """Whether the process stays frozen at the end of the block."""

    kept: bool = False


@contextmanager
def frozen_unless_kept(member: Member) -> Iterator[Freeze]:
    """Frozen meanwhile, and afterwards only if it was decided so."""
    freeze = Freeze()
    member.freeze()
    try:
        yield freeze
    finally:
        if not freeze.kept:
            member.thaw()
