"""The AMQP door: asked for over HTTP, made by the provisioner, filled from the feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import structlog
from aio_pika import Message
from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import audit, failpoints
from shared.auth import Principal
from shared.messaging import topology, wire
from shared.messaging.publisher import Outgoing, Publisher

from ..domain import Door, DoorState, queue_name, user_name
from ..domain.doors import broker_hash, new_password
from ..models import amqp_door, feed_entry, partner
from .partners import partner_of

log = structlog.get_logger()

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
PARTNER_VHOST = "partners"
PARTNER_EXCHANGE = "partner.out"
BATCH = 100


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


async def deliver_feed(session: AsyncSession, publisher: Publisher) -> bool:
    """Put the next entries of one partner's feed on its queue; whether there was anything to do.

    A crash between the confirm and the commit sends entries again under the same message ids.
    """
    door = await _next_door(session)
    if door is None:
        return False
    entries = (
        await session.execute(
            select(feed_entry)
            .where(
                feed_entry.c.slug == door.slug,
                feed_entry.c.position > door.delivered_position,
            )
            .order_by(feed_entry.c.position)
            .limit(BATCH)
        )
    ).all()
    user = topology.user_of(publisher.url)
    outcomes = await publisher.publish(
        [Outgoing(partner_message(e, user), PARTNER_EXCHANGE, door.queue) for e in entries]
    )
    failpoints.reach("feed.between-confirm-and-mark")
    confirmed = door.delivered_position
    for entry, outcome in zip(entries, outcomes, strict=True):
        if outcome is not None:
            log.warning("door waits", partner=door.slug, error=type(outcome).__name__)
            break
        confirmed = entry.position
    if confirmed == door.delivered_position:
        return False
    await session.execute(
        update(amqp_door).where(amqp_door.c.slug == door.slug).values(delivered_position=confirmed)
    )
    return True


async def _next_door(session: AsyncSession) -> AnyRow | None:
    """A ready door with entries waiting; others that deliver now are skipped."""
    found = await session.execute(
        select(amqp_door.c.slug, amqp_door.c.queue, amqp_door.c.delivered_position)
        .join(partner, partner.c.slug == amqp_door.c.slug)
        .where(
            amqp_door.c.state == DoorState.READY,
            amqp_door.c.delivered_position < partner.c.last_position,
        )
        .order_by(text("random()"))
        .limit(1)
        .with_for_update(of=amqp_door, skip_locked=True)
    )
    return found.one_or_none()


def partner_message(entry: AnyRow, user: str) -> Message:
    """The entry as a CloudEvent with its number in the feed as `sequence`."""
    return wire.message(
        event_id=entry.event_id,
        topic=entry.topic,
        occurred_at=entry.occurred_at,
        body=entry.body,
        headers={**entry.headers, "cloudEvents_sequence": str(entry.position)},
        service="notifications",
        user=user,
    )
