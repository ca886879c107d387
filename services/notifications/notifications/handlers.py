"""What notifications does when others announce something."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from shared import privacy
from shared.contracts.funding import (
    CallCancelled,
    CallClosed,
    CallDeadlineExtended,
    CallOpened,
    CallUpdated,
)
from shared.contracts.ideas import IdeaPublished, IdeaWithdrawn
from shared.contracts.notifications import NotificationsAnswered
from shared.contracts.registry import (
    CooperativeChanged,
    CooperativeRegistered,
    CooperativesImported,
    PartnerRegistered,
)
from shared.messaging.consumers import Consumers

from . import metrics, usecases
from .domain.subjects import CallEvent, IdeaEvent

consumers = Consumers("notifications")
privacy.answer_persons(consumers, NotificationsAnswered, usecases.person_part)

CALL_EVENTS = (CallOpened, CallUpdated, CallDeadlineExtended, CallClosed, CallCancelled)
AUDIENCE = ("audience", "audience_history", "audience_change")
IDEA_EVENTS = (IdeaPublished, IdeaWithdrawn)


@consumers.on(
    CooperativesImported, prefetch=2, projection=AUDIENCE, queue="keep_imported_cooperatives"
)
async def keep_imported_cooperatives(event: CooperativesImported, session: AsyncSession) -> None:
    """The audience follows the register, batch by batch."""
    await usecases.keep_cooperatives(session, event.cooperatives)
    metrics.audience_heard(session, event.occurred_at)


@consumers.on(
    CooperativeRegistered,
    CooperativeChanged,
    prefetch=4,
    projection=AUDIENCE,
    queue="keep_cooperative",
)
async def keep_cooperative(
    event: CooperativeRegistered | CooperativeChanged, session: AsyncSession
) -> None:
    """The audience follows the register, record by record."""
    await usecases.keep_cooperatives(session, [event.cooperative])
    metrics.audience_heard(session, event.occurred_at)


@consumers.on(*CALL_EVENTS, prefetch=1, queue="follow_call")
async def follow_call(event: CallEvent, session: AsyncSession) -> None:
    """Every cooperative that matches an open call is told; those told before are corrected."""
    await usecases.follow_subject(session, event)


@consumers.on(*IDEA_EVENTS, prefetch=1, queue="follow_idea")
async def follow_idea(event: IdeaEvent, session: AsyncSession) -> None:
    """Every cooperative of an idea's territory and sectors is told; a withdrawal corrects."""
    await usecases.follow_subject(session, event)


@consumers.on(*CALL_EVENTS, *IDEA_EVENTS, prefetch=1, queue="feed_partners")
async def feed_partners(event: CallEvent | IdeaEvent, session: AsyncSession) -> None:
    """An event that a partner asked for is numbered into the partner's feed."""
    await usecases.feed_partners(session, event)


@consumers.on(PartnerRegistered, prefetch=4, projection=("partner",), queue="know_partner")
async def know_partner(event: PartnerRegistered, session: AsyncSession) -> None:
    """Institutions are known by the names that the registry gives them."""
    await usecases.know_partner(session, event)
