"""The AMQP door: asked for over HTTP, made by the provisioner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit
from shared.auth import Principal

from ..domain import Door, DoorState, queue_name, user_name
from ..domain.doors import broker_hash, new_password
from ..models import amqp_door, partner
from .partners import partner_of

log = structlog.get_logger()

PARTNER_VHOST = "partners"
PARTNER_EXCHANGE = "partner.out"
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
