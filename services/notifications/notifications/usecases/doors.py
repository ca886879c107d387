"""The AMQP door: asked for over HTTP, made by the provisioner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit
from shared.auth import Principal

from ..domain import Door, DoorState, queue_name, user_name
from ..domain.doors import broker_hash, new_password
from ..models import amqp_door, feed_entry, partner
from .partners import partner_of

log = structlog.get_logger()

PARTNER_VHOST = "partners"
PARTNER_EXCHANGE = "partner.out"
QUEUE_KEEPS = timedelta(days=7)
"""How long a partner's queue keeps what nobody reads."""
DROPPED = "p.dropped"
"""Where the broker puts what a partner's queue lets go."""


@dataclass(frozen=True)
class Credentials:
    """What a partner needs to read its queue. The password is shown this once."""

    queue: str
    username: str
    password: str
    state: DoorState


async def open_amqp_door(session: AsyncSession, caller: Principal) -> Credentials:
    """Ask for a queue, or for new credentials of the one there is; the old password ends."""
    slug = partner_of(caller)
    await session.execute(insert(partner).values(slug=slug).on_conflict_do_nothing())
    password = new_password()
    door = await session.get(Door, slug, with_for_update=True)
    now = datetime.now(UTC)
    if door is None:
        door = Door(
            slug=slug,
            queue=queue_name(slug),
            username=user_name(slug),
            password_hash=broker_hash(password),
            requested_at=now,
        )
        session.add(door)
    else:
        door.renew(broker_hash(password), at=now)
    audit.record(session, caller, action="amqp door requested", after={"queue": door.queue})
    return Credentials(door.queue, door.username, password, door.state)


class Provisioner(Protocol):
    """Makes a partner's queue and user on the broker; safe to repeat."""

    async def make(self, door: Door) -> None: ...

    async def missing(self, queues: Collection[str]) -> set[str]:
        """Those that the broker does not have."""
        ...


async def provision_doors(session: AsyncSession, provisioner: Provisioner) -> int:
    """Make what was asked for and say so; how many doors became ready."""
    asked = await session.scalars(
        select(Door)
        .where(amqp_door.c.state == DoorState.REQUESTED)
        .order_by(amqp_door.c.slug)
        .with_for_update(skip_locked=True)
    )
    made = 0
    for door in asked:
        await provisioner.make(door)
        door.is_made(at=datetime.now(UTC))
        log.info("door ready", partner=door.slug)
        made += 1
    return made


async def find_lost_doors(session: AsyncSession, provisioner: Provisioner) -> int:
    """Ask for doors again whose queue is gone, as after a broker lost its data; how many.

    What such a queue may still have held is sent again, under the same ids: the partner may have
    read it or not, and only the partner knows.
    """
    ready = select(Door).where(amqp_door.c.state == DoorState.READY).with_for_update()
    doors = {door.queue: door for door in await session.scalars(ready)}
    lost = await provisioner.missing(doors.keys())
    for queue in lost:
        door = doors[queue]
        door.is_lost(delivered_position=await _before_kept(session, door))
        log.warning("the queue of a door is gone", partner=door.slug)
    return len(lost)


async def _before_kept(session: AsyncSession, door: Door) -> int:
    """The position before the oldest entry that a queue would still keep."""
    oldest = await session.scalar(
        select(func.min(feed_entry.c.position)).where(
            feed_entry.c.slug == door.slug,
            feed_entry.c.position <= door.delivered_position,
            feed_entry.c.recorded_at > func.now() - QUEUE_KEEPS,
        )
    )
    return door.delivered_position if oldest is None else int(oldest) - 1
