"""The partner queue: requested over HTTP, made by the provisioner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from shared.contracts.registry import TokensRevoked, partner_id_of
from shared.errors import NotFound
from shared.kernel import failpoints
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.database import Sessions
from shared.kernel.data.revocations import refuse_revoked
from shared.kernel.messaging.management import ManagementRefused
from shared.kernel.observability.metrics.counters import after_commit
from shared.sentences import Sentence

from ..domain.partner_queue import (
    PartnerQueue,
    PartnerQueueState,
    broker_hash,
    new_password,
    queue_name,
    user_name,
)
from ..models import feed_entry, partner, partner_queue_table
from .partners import lock_partner, partner_of

log = structlog.get_logger()

PARTNER_VHOST = "partners"
PARTNER_EXCHANGE = "partner.out"
QUEUE_KEEPS = timedelta(days=7)
"""How long a partner's queue keeps a message that nobody reads."""
DROPPED = "p.dropped"
"""The exchange and the queue to which partners' queues dead-letter what they drop."""


class NoSuchPartnerQueue(NotFound):
    """This partner has no partner queue."""


@dataclass(frozen=True)
class Credentials:
    """What a partner needs to read its queue. The password is shown this once."""

    queue: str
    username: str
    password: str
    state: PartnerQueueState


async def request_partner_queue(session: AsyncSession, caller: Principal) -> Credentials:
    """Request a queue, or new credentials for the existing one, whose password then ends.

    Both work once the provisioner has made them: the state is `ready` then. A closed queue opens
    again. Raises `TokenRevoked`, whatever is cached; a revocation that comes later finds the queue.
    """
    slug = partner_of(caller)
    await refuse_revoked(session, caller)
    await lock_partner(session, slug)
    password = new_password()
    partner_queue = await session.get(PartnerQueue, slug, with_for_update=True)
    now = datetime.now(UTC)
    if partner_queue is None:
        partner_queue = PartnerQueue(
            slug=slug,
            queue=queue_name(slug),
            username=user_name(slug),
            password_hash=broker_hash(password),
            delivered_position=await _before_oldest(session, slug),
            requested_by=caller.subject,
            authorized_at=caller.issued_at,
            requested_at=now,
        )
        session.add(partner_queue)
    else:
        partner_queue.renew(
            broker_hash(password), by=caller.subject, authorized_at=caller.issued_at, at=now
        )
    audit.record(
        session,
        caller,
        action="partner queue requested",
        subject_id=partner_id_of(slug),
        after={"partner": slug, "queue": partner_queue.queue},
    )
    return Credentials(partner_queue.queue, partner_queue.username, password, partner_queue.state)


async def close_partner_queue(session: AsyncSession, caller: Principal, slug: str) -> None:
    """End the broker user of a partner; its queue stays with what it holds. Operators only.

    Any client of the partner may request the queue again. Nothing happens if it is closed already.
    Raises `NoSuchPartnerQueue`.
    """
    caller.require(Role.OPERATOR)
    partner_queue = await session.get(PartnerQueue, slug, with_for_update=True)
    if partner_queue is None:
        raise NoSuchPartnerQueue(Sentence("partner {slug} has no partner queue", slug=slug))
    if partner_queue.is_open:
        _close(session, caller, partner_queue)


async def close_partner_queues_of(session: AsyncSession, event: TokensRevoked) -> None:
    """Close the partner queue whose password somebody has who acts for the partner no more.

    One that was requested with a token from after the revocation stays.
    """
    if event.partner is None:
        return
    partner_queue = await session.get(PartnerQueue, event.partner, with_for_update=True)
    if partner_queue is not None and partner_queue.is_ended_by(
        event.subject_id, not_before=event.not_before
    ):
        _close(session, None, partner_queue)


def _close(session: AsyncSession, caller: Principal | None, partner_queue: PartnerQueue) -> None:
    partner_queue.close(at=datetime.now(UTC))
    audit.record(
        session,
        caller,
        action="partner queue closed",
        subject_id=partner_id_of(partner_queue.slug),
        after={"partner": partner_queue.slug, "requested_by": str(partner_queue.requested_by)},
    )


async def _before_oldest(session: AsyncSession, slug: str) -> int:
    """The position before the oldest entry: a new queue begins there, so earlier ones are no
    gap."""
    oldest = select(func.min(feed_entry.c.position) - 1).where(feed_entry.c.slug == slug)
    begin = func.coalesce(oldest.scalar_subquery(), partner.c.last_position)
    position = await session.scalar(select(begin).where(partner.c.slug == slug))
    return int(position or 0)


@dataclass(frozen=True)
class BrokerState:
    """What the broker has of partner queues: their names, and each user's password hash."""

    queues: frozenset[str]
    password_hashes: Mapping[str, str]


class Provisioner(Protocol):
    """Makes and ends a partner's queue and user on the broker; safe to repeat."""

    async def make(self, partner_queue: PartnerQueue) -> None:
        """Make queue, user and rights, or bring them up to date."""
        ...

    async def close(self, partner_queue: PartnerQueue) -> None:
        """End the user and its connections; the queue stays."""
        ...

    async def broker_state(self) -> BrokerState:
        """What the broker has of partner queues now."""
        ...


async def provision_partner_queues(sessions: Sessions, provisioner: Provisioner) -> int:
    """Make the requested queues one by one, and mark each as ready; how many became ready.

    No transaction is open while the broker works, so two provisioners may make the same queue at
    once: both make the same queue, user and password. A queue that the broker refuses stays
    requested and does not hold up the others.
    """
    ready = 0
    for partner_queue in await _partner_queues(sessions, PartnerQueueState.REQUESTED):
        if not await _is_accepted(provisioner.make, partner_queue):
            continue
        failpoints.reach("partner_queues.between-make-and-note")
        ready += await _note_made(sessions, partner_queue)
    return ready


async def end_closing_partner_queues(sessions: Sessions, provisioner: Provisioner) -> int:
    """End the users of queues that are closing and mark each as closed; how many were closed.

    As with making, no transaction is open meanwhile. A queue that is requested again during that
    time is made afterwards.
    """
    closed = 0
    for partner_queue in await _partner_queues(sessions, PartnerQueueState.CLOSING):
        if await _is_accepted(provisioner.close, partner_queue):
            closed += await _note_closed(sessions, partner_queue)
    return closed


async def _is_accepted(
    work: Callable[[PartnerQueue], Awaitable[None]], partner_queue: PartnerQueue
) -> bool:
    """Do this on the broker; False where the broker refuses it, which is logged."""
    try:
        await work(partner_queue)
    except ManagementRefused as refusal:
        log.warning(
            "the broker refuses a partner queue", partner=partner_queue.slug, status=refusal.status
        )
        return False
    return True


async def find_lost_partner_queues(sessions: Sessions, provisioner: Provisioner) -> int:
    """Request again the queues that the broker lacks or has with another password; how many.

    A queue is missing after the broker lost its data. What it may still have held is sent again,
    under the same ids: only the partner knows what it had read. A password differs where a late
    provisioner overwrote a newer one. A closed queue is never requested here: its user, which a
    late provisioner made, is ended again.
    """
    ready = await _partner_queues(sessions, PartnerQueueState.READY)
    closed = await _partner_queues(sessions, PartnerQueueState.CLOSED)
    on_broker = await provisioner.broker_state()
    for partner_queue in closed:
        await _check_closed(sessions, partner_queue, on_broker)
    lost = 0
    for partner_queue in ready:
        without_queue = partner_queue.queue not in on_broker.queues
        password_hash = on_broker.password_hashes.get(partner_queue.username)
        if without_queue or password_hash != partner_queue.password_hash:
            lost += await _request_again(sessions, partner_queue, without_queue=without_queue)
    return lost


async def _partner_queues(sessions: Sessions, state: PartnerQueueState) -> Sequence[PartnerQueue]:
    """The partner queues in this state now; none is locked."""
    async with sessions() as session:
        partner_queues = await session.scalars(
            select(PartnerQueue)
            .where(partner_queue_table.c.state == state)
            .order_by(partner_queue_table.c.slug)
        )
        return partner_queues.all()


async def _note_made(sessions: Sessions, made: PartnerQueue) -> bool:
    """Mark a queue as ready; False where another provisioner did so, or where credentials were
    renewed meanwhile, which are made next."""
    async with sessions.begin() as session:
        partner_queue = await session.get_one(PartnerQueue, made.slug, with_for_update=True)
        if (
            partner_queue.state is not PartnerQueueState.REQUESTED
            or partner_queue.password_hash != made.password_hash
        ):
            return False
        partner_queue.note_made(at=datetime.now(UTC))
        after_commit(session, metrics.PARTNER_QUEUES_MADE.inc)
    log.info("partner queue ready", partner=made.slug)
    return True


async def _note_closed(sessions: Sessions, ended: PartnerQueue) -> bool:
    """Mark a queue as closed; False where it was requested again or closed meanwhile."""
    async with sessions.begin() as session:
        partner_queue = await session.get_one(PartnerQueue, ended.slug, with_for_update=True)
        if (
            partner_queue.state is not PartnerQueueState.CLOSING
            or partner_queue.closing_at != ended.closing_at
        ):
            return False
        partner_queue.note_closed()
    log.info("partner queue closed", partner=ended.slug)
    return True


async def _check_closed(sessions: Sessions, seen: PartnerQueue, on_broker: BrokerState) -> None:
    """Close a queue again whose user is back; note where a closed queue is gone, with what it
    held, so that it is sent that again once it is open."""
    is_back = seen.username in on_broker.password_hashes
    if not is_back and seen.queue in on_broker.queues:
        return
    async with sessions.begin() as session:
        partner_queue = await session.get_one(PartnerQueue, seen.slug, with_for_update=True)
        if (
            partner_queue.state is not PartnerQueueState.CLOSED
            or partner_queue.closing_at != seen.closing_at
        ):
            return
        if is_back:
            log.warning("the user of a closed partner queue was made again", partner=seen.slug)
            partner_queue.close(at=datetime.now(UTC))
        if seen.queue not in on_broker.queues:
            resume_after = await _before_kept(session, partner_queue)
            partner_queue.note_lost(delivered_position=resume_after)


async def _request_again(sessions: Sessions, seen: PartnerQueue, *, without_queue: bool) -> bool:
    """Request a lost queue again; False where it was requested or made again since it was
    `seen`."""
    async with sessions.begin() as session:
        partner_queue = await session.get_one(PartnerQueue, seen.slug, with_for_update=True)
        if (
            partner_queue.state is not PartnerQueueState.READY
            or partner_queue.ready_at != seen.ready_at
        ):
            return False
        resume_after = (
            await _before_kept(session, partner_queue)
            if without_queue
            else partner_queue.delivered_position
        )
        partner_queue.note_lost(delivered_position=resume_after)
    log.warning(
        "a partner queue is not as it was made", partner=seen.slug, without_queue=without_queue
    )
    return True


async def _before_kept(session: AsyncSession, partner_queue: PartnerQueue) -> int:
    """The position before the oldest delivered entry that a queue would still keep."""
    oldest = await session.scalar(
        select(func.min(feed_entry.c.position)).where(
            feed_entry.c.slug == partner_queue.slug,
            feed_entry.c.position <= partner_queue.delivered_position,
            feed_entry.c.recorded_at > func.now() - QUEUE_KEEPS,
        )
    )
    return partner_queue.delivered_position if oldest is None else int(oldest) - 1
