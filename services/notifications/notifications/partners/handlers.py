"""Consumers that fill partner feeds and store partner institutions."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS, CallEvent, IdeaEvent
from shared.contracts.registry import PartnerRegistered
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.revocation_consumer import store_revocations

from .usecases import held_events, partners
from .usecases.partner_queue import close_partner_queues_of

consumers = Consumers("notifications")
store_revocations(consumers, then=close_partner_queues_of)


@consumers.on(*CALL_EVENTS, *IDEA_EVENTS, prefetch=1, queue="feed_partners")
async def feed_partners(event: CallEvent | IdeaEvent, session: AsyncSession) -> None:
    """Number the event into the feed of every partner that subscribed to it, with its alerts."""
    await held_events.feed_or_keep(session, event)


@consumers.on(PartnerRegistered, prefetch=4, projection=("partner",), queue="store_partner")
async def store_partner(event: PartnerRegistered, session: AsyncSession) -> None:
    """Keep the newest name of an institution, as the registry gives it."""
    await partners.store_partner(session, event)
