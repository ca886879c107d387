"""Partner institutions and their feeds."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS, CallEvent, IdeaEvent
from shared.contracts.registry import PartnerRegistered
from shared.kernel.messaging.consumers import Consumers

from .usecases import partners

consumers = Consumers("notifications")


@consumers.on(*CALL_EVENTS, *IDEA_EVENTS, prefetch=1, queue="feed_partners")
async def feed_partners(event: CallEvent | IdeaEvent, session: AsyncSession) -> None:
    """An event that a partner asked for is numbered into the partner's feed."""
    await partners.feed_partners(session, event)


@consumers.on(PartnerRegistered, prefetch=4, projection=("partner",), queue="store_partner")
async def store_partner(event: PartnerRegistered, session: AsyncSession) -> None:
    """Institutions are known by the names that the registry gives them."""
    await partners.store_partner(session, event)
