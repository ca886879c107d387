"""What notifications does when others announce something.

Calls and ideas become announcements here: behind the handlers every kind of subject is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from shared.contracts.announcement import (
    AnnouncedTrack,
    Announcement,
    AnnouncementPublished,
    Detail,
)
from shared.contracts.criteria import Criteria
from shared.contracts.funding import (
    CallCancelled,
    CallClosed,
    CallDeadlineExtended,
    CallOpened,
    CallSnapshot,
    CallUpdated,
    Track,
)
from shared.contracts.ideas import IdeaPublished, IdeaSnapshot, IdeaWithdrawn
from shared.contracts.notifications import NotificationsAnswered
from shared.contracts.registry import (
    CooperativeChanged,
    CooperativeRegistered,
    CooperativesImported,
    PartnerRegistered,
)
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.privacy import person_requests

from .audience import usecases as audience_usecases
from .contacts import usecases
from .fanout.usecases import follow_subject
from .partners.domain.subscriptions import CallEvent, IdeaEvent
from .partners.usecases import partners

consumers = Consumers("notifications")
person_requests.answer_persons(consumers, NotificationsAnswered, usecases.person_part)

CALL_EVENTS = (CallOpened, CallUpdated, CallDeadlineExtended, CallClosed, CallCancelled)
AUDIENCE = ("audience", "audience_history", "audience_change")
IDEA_EVENTS = (IdeaPublished, IdeaWithdrawn)


@consumers.on(
    CooperativesImported, prefetch=2, projection=AUDIENCE, queue="keep_imported_cooperatives"
)
async def keep_imported_cooperatives(event: CooperativesImported, session: AsyncSession) -> None:
    """The audience follows the register, batch by batch."""
    await audience_usecases.keep_cooperatives(session, event.cooperatives)
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
    await audience_usecases.keep_cooperatives(session, [event.cooperative])
    metrics.audience_heard(session, event.occurred_at)


@consumers.on(*CALL_EVENTS, prefetch=1, queue="follow_call")
async def follow_call(event: CallEvent, session: AsyncSession) -> None:
    """Every cooperative that matches an open call is alerted; those alerted before get changes."""
    await follow_subject.follow_subject(session, announcement_of_call(event.call, _reason(event)))


@consumers.on(*IDEA_EVENTS, prefetch=1, queue="follow_idea")
async def follow_idea(event: IdeaEvent, session: AsyncSession) -> None:
    """Every cooperative of an idea's territory and sectors is alerted; a withdrawal corrects."""
    announced = announcement_of_idea(
        event.idea, occurred_at=event.occurred_at, reason=_reason(event)
    )
    await follow_subject.follow_subject(session, announced)


@consumers.on(AnnouncementPublished, prefetch=1, queue="follow_announcement")
async def follow_announcement(event: AnnouncementPublished, session: AsyncSession) -> None:
    """Every cooperative that matches what any service announces is alerted, and corrected."""
    await follow_subject.follow_subject(session, event.announcement)


@consumers.on(*CALL_EVENTS, *IDEA_EVENTS, prefetch=1, queue="feed_partners")
async def feed_partners(event: CallEvent | IdeaEvent, session: AsyncSession) -> None:
    """An event that a partner asked for is numbered into the partner's feed."""
    await partners.feed_partners(session, event)


@consumers.on(PartnerRegistered, prefetch=4, projection=("partner",), queue="know_partner")
async def know_partner(event: PartnerRegistered, session: AsyncSession) -> None:
    """Institutions are known by the names that the registry gives them."""
    await partners.know_partner(session, event)


def _reason(event: CallEvent | IdeaEvent) -> str | None:
    """Why it changed, where the event says so."""
    if isinstance(event, CallDeadlineExtended | CallCancelled | IdeaWithdrawn):
        return event.reason
    return None


CALL_DETAILS = ("kind", "funder", "programme", "edition", "source")
TRACK_DETAILS = (
    "max_grant_centimes",
    "max_rate_percent",
    "min_own_share_percent",
    "max_in_kind_percent_of_own_share",
    "payer",
)
IDEA_DETAILS = ("origin", "readiness", "budget_centimes", "jobs", "sdgs")


def announcement_of_call(call: CallSnapshot, reason: str | None = None) -> Announcement:
    """The call as any other subject."""
    return Announcement(
        announcement_id=call.call_id,
        service="funding",
        kind="call",
        version=call.version,
        state=call.state,
        title=call.title,
        text=call.summary,
        tracks=tuple(map(_track, call.tracks)),
        reference_on=call.reference_on,
        deadline=call.deadline,
        details=tuple(_details(call, CALL_DETAILS)),
        reason=reason,
        confirmed_audience=call.confirmed_audience,
    )


def _track(track: Track) -> AnnouncedTrack:
    return AnnouncedTrack(
        name=track.name, criteria=track.criteria, details=tuple(_details(track, TRACK_DETAILS))
    )


def announcement_of_idea(
    idea: IdeaSnapshot, *, occurred_at: datetime, reason: str | None = None
) -> Announcement:
    """The idea as any other subject. It has one track: its territory and sectors."""
    criteria = Criteria(regions=idea.regions, provinces=idea.provinces, sectors=idea.sectors)
    return Announcement(
        announcement_id=idea.idea_id,
        service="ideas",
        kind="idea",
        version=idea.version,
        state="open" if idea.state == "published" else "withdrawn",
        title=idea.title,
        text=idea.summary,
        tracks=(AnnouncedTrack(criteria=criteria),),
        reference_on=(idea.published_at or occurred_at).date(),
        details=tuple(_details(idea, IDEA_DETAILS)),
        reason=reason,
        confirmed_audience=idea.confirmed_audience,
    )


def _details(content: BaseModel, codes: tuple[str, ...]) -> Iterator[Detail]:
    """What is known of these fields."""
    for code in codes:
        value = getattr(content, code)
        if value is not None and value != ():
            yield Detail(code=code, value=value)
