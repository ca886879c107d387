"""The AMQP door: asked for over HTTP, made by the provisioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from shared.contracts.registry import partner_id_of
from shared.kernel import failpoints
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.kernel.data.database import Sessions
from shared.kernel.messaging.management import ManagementRefused
from shared.kernel.observability.metrics.counters import after_commit

from ..domain.partner_queue import Door, DoorState, broker_hash, new_password, queue_name, user_name
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
            delivered_position=await _before_oldest(session, slug),
            requested_at=now,
        )
        session.add(door)
    else:
        door.renew(broker_hash(password), at=now)
    audit.record(
        session,
        caller,
        action="amqp door requested",
        subject_id=partner_id_of(slug),
        after={"partner": slug, "queue": door.queue},
    )
    return Credentials(door.queue, door.username, password, door.state)


async def _before_oldest(session: AsyncSession, slug: str) -> int:
    """A new door begins with the oldest entry that is kept: what went before is no gap of it."""
    oldest = select(func.min(feed_entry.c.position) - 1).where(feed_entry.c.slug == slug)
    begin = func.coalesce(oldest.scalar_subquery(), partner.c.last_position)
    position = await session.scalar(select(begin).where(partner.c.slug == slug))
    return int(position or 0)


@dataclass(frozen=True)
class Made:
    """What the broker has of doors: queues, and of each user the hash of the password."""

    queues: frozenset[str]
    password_hashes: Mapping[str, str]


class Provisioner(Protocol):
    """Makes a partner's queue and user on the broker; safe to repeat."""

    async def make(self, door: Door) -> None: ...

    async def made(self) -> Made:
        """What is there now."""
        ...


async def provision_doors(sessions: Sessions, provisioner: Provisioner) -> int:
    """Make what was asked for, each door by itself, and say so; how many became ready.

    No transaction is open while the broker works, so two provisioners may make the same door at
    once: the same queue, user and password. One that the broker refuses waits; the others do not.
    """
    ready = 0
    for door in await _doors(sessions, DoorState.REQUESTED):
        try:
            await provisioner.make(door)
        except ManagementRefused as refusal:
            log.warning("the broker refuses a door", partner=door.slug, status=refusal.status)
            continue
        failpoints.reach("doors.between-make-and-note")
        ready += await _note_made(sessions, door)
    return ready


async def find_lost_doors(sessions: Sessions, provisioner: Provisioner) -> int:
    """Ask for doors again that the broker has not, or not like this; how many.

    A queue is gone after the broker lost its data. What it may still have held is sent again, under
    the same ids: the partner may have read it or not, and only the partner knows. A password is
    another one where a provisioner was late, and wrote it over a newer one.
    """
    ready = await _doors(sessions, DoorState.READY)
    made = await provisioner.made()
    lost = 0
    for door in ready:
        without_queue = door.queue not in made.queues
        if without_queue or made.password_hashes.get(door.username) != door.password_hash:
            lost += await _ask_anew(sessions, door, without_queue=without_queue)
    return lost


async def _doors(sessions: Sessions, state: DoorState) -> Sequence[Door]:
    """As they are at this moment: none is locked."""
    async with sessions() as session:
        doors = await session.scalars(
            select(Door).where(amqp_door.c.state == state).order_by(amqp_door.c.slug)
        )
        return doors.all()


async def _note_made(sessions: Sessions, made: Door) -> bool:
    """False where another was faster, or new credentials were asked for: these are made next."""
    async with sessions.begin() as session:
        door = await session.get_one(Door, made.slug, with_for_update=True)
        if door.state is DoorState.READY or door.password_hash != made.password_hash:
            return False
        door.note_made(at=datetime.now(UTC))
        after_commit(session, metrics.DOORS_MADE.inc)
    log.info("door ready", partner=made.slug)
    return True


async def _ask_anew(sessions: Sessions, seen: Door, *, without_queue: bool) -> bool:
    """False where the door was asked for, or made, since it was looked at."""
    async with sessions.begin() as session:
        door = await session.get_one(Door, seen.slug, with_for_update=True)
        if door.state is not DoorState.READY or door.ready_at != seen.ready_at:
            return False
        sent = await _before_kept(session, door) if without_queue else door.delivered_position
        door.note_lost(delivered_position=sent)
    log.warning("a door is not as it was made", partner=seen.slug, without_queue=without_queue)
    return True


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
