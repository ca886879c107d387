"""A service that replays, one with a rebuildable queue and another queue, and their runs."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import func, select

from devkit.pytest_plugin import eventually
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.tables import InboxRow, ReplayRow
from shared.kernel.messaging import replay
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.messaging.replay.domain import Kind
from shared.kernel.messaging.replay.requests import ReplayRequest
from shared.kernel.messaging.replay.sources import Page, Snapshot
from shared.kernel.messaging.replay.worker import Replayer

from ..harness import EventSource, RunningService, StoneCut, StoneLaid

OPERATOR = Principal(subject=uuid.UUID(int=9), roles=frozenset({Role.OPERATOR}))
QUEUE = "carpentry.measure"
LOG = (StoneLaid.topic, StoneCut.topic)
SENT_WITH_REQUEST = 1
"""The first event of a topic, sent with the request; the run sends it again under the same id."""
received: list[Any] = []


async def measure(event: Any, session: Any) -> None:
    """A consumer that keeps a projection."""
    received.append(event)


async def invite(event: Any, session: Any) -> None:
    """A consumer that alerts people."""


def carpenters() -> Consumers:
    consumers = Consumers("carpentry")
    consumers.on(StoneLaid, projection=("walls",), queue="measure")(measure)
    consumers.on(StoneLaid, StoneCut, queue="invite")(invite)
    return consumers


def stones(*known: StoneLaid) -> Snapshot:
    """A snapshot of these stones, two to a page, in the order of ids."""
    inside = sorted(known, key=lambda stone: stone.stone_id)

    async def page(session: Any, after: uuid.UUID | None) -> Page:
        rest = [s for s in inside if after is None or s.stone_id > after][:2]
        events = [(str(stone.stone_id), stone) for stone in rest]
        return Page(events, len(rest), rest[-1].stone_id if rest else None)

    async def count(session: Any) -> int:
        return len(inside)

    return Snapshot("stones", (StoneLaid.topic,), page, count)


def replayer(source: EventSource, *snapshots: Snapshot) -> Replayer:
    return Replayer(source.sessions, source.publisher, "masonry", snapshots)


async def request_replay(
    source: EventSource,
    *snapshots: Snapshot,
    who: Principal = OPERATOR,
    through: Publisher | None = None,
    **request: Any,
) -> Any:
    known = {"kind": Kind.SNAPSHOT if snapshots else Kind.LOG, "queue": QUEUE, "reason": "lost"}
    async with source.sessions.begin() as session:
        return await replay.begin(
            session,
            who,
            ReplayRequest(**{**known, **request}),
            service="masonry",
            log_topics=LOG,
            snapshots=snapshots,
            publisher=through or source.publisher,
        )


async def work_off(sender: Replayer) -> None:
    while await sender.step():
        pass


async def stored_run(source: EventSource, run: ReplayRow) -> ReplayRow:
    async with source.sessions() as session:
        found = await session.get(ReplayRow, run.run)
        assert found is not None
        return found


async def wait_for_inbox_rows(receiver: RunningService, rows: int) -> None:
    """Wait until the consumer has dealt with so many messages of the queue."""

    async def look() -> bool:
        async with receiver.sessions() as session:
            query = select(func.count()).select_from(InboxRow).where(InboxRow.queue == QUEUE)
            return bool(await session.scalar(query) == rows)

    await eventually(look)
