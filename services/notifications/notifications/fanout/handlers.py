"""Calls, ideas and announcements of any kind become alerts.

Calls and ideas are translated to announcements here: everything behind the handlers knows only
those.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from shared.business_days import business_day
from shared.contracts.announcement import (
    Announcement,
    AnnouncementPublished,
    AnnouncementTrack,
    Detail,
)
from shared.contracts.criteria import Criteria
from shared.contracts.funding import CallCancelled, CallDeadlineExtended, CallSnapshot, Track
from shared.contracts.ideas import IdeaSnapshot, IdeaWithdrawn
from shared.kernel.messaging.consumers import Consumers
from shared.offers import MONEY

from .subject_events import CALL_EVENTS, IDEA_EVENTS, CallEvent, IdeaEvent
from .usecases.follow_subject import follow_subject

consumers = Consumers("notifications")


@consumers.on(*CALL_EVENTS, prefetch=1, queue="follow_call")
async def follow_call(event: CallEvent, session: AsyncSession) -> None:
    """Alert every cooperative that matches an open call, and correct those alerted before."""
    await follow_subject(session, announcement_of_call(event.call, reason_of(event)))


@consumers.on(*IDEA_EVENTS, prefetch=1, queue="follow_idea")
async def follow_idea(event: IdeaEvent, session: AsyncSession) -> None:
    """Alert every cooperative of an idea's territory and sectors; a withdrawal corrects them."""
    published = announcement_of_idea(
        event.idea, occurred_at=event.occurred_at, reason=reason_of(event)
    )
    await follow_subject(session, published)


@consumers.on(AnnouncementPublished, prefetch=1, queue="follow_announcement")
async def follow_announcement(event: AnnouncementPublished, session: AsyncSession) -> None:
    """Alert every cooperative that matches an announcement of any service, and correct those
    alerted before."""
    await follow_subject(session, event.announcement)


def reason_of(event: CallEvent | IdeaEvent) -> str | None:
    """Why the call or idea changed, where the event gives a reason."""
    if isinstance(event, CallDeadlineExtended | CallCancelled | IdeaWithdrawn):
        return event.reason
    return None


CALL_DETAILS = ("kind", "funder", "programme", "edition", "source")
TRACK_DETAILS = (*MONEY, "payer")
IDEA_DETAILS = ("origin", "readiness", "budget_centimes", "jobs", "sdgs")


def announcement_of_call(call: CallSnapshot, reason: str | None = None) -> Announcement:
    """The call as an announcement."""
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
        owner_partner=call.funder_slug,
    )


def _track(track: Track) -> AnnouncementTrack:
    return AnnouncementTrack(
        name=track.name, criteria=track.criteria, details=tuple(_details(track, TRACK_DETAILS))
    )


def announcement_of_idea(
    idea: IdeaSnapshot, *, occurred_at: datetime, reason: str | None = None
) -> Announcement:
    """The idea as an announcement with one track: its territory, sectors and legal statuses.

    Ages count on the day on which it was published, else on that of the event.
    """
    criteria = Criteria(
        regions=idea.regions,
        provinces=idea.provinces,
        sectors=idea.sectors,
        legal_statuses=idea.legal_statuses,
    )
    return Announcement(
        announcement_id=idea.idea_id,
        service="ideas",
        kind="idea",
        version=idea.version,
        state="open" if idea.state == "published" else "withdrawn",
        title=idea.title,
        text=idea.summary,
        tracks=(AnnouncementTrack(criteria=criteria),),
        reference_on=business_day(idea.published_at or occurred_at),
        details=tuple(_details(idea, IDEA_DETAILS)),
        reason=reason,
        confirmed_audience=idea.confirmed_audience,
        belongs_to=idea.on_behalf_of,
        owner_ids=tuple(each for each in (idea.author_id, idea.on_behalf_of) if each),
    )


def _details(content: BaseModel, codes: tuple[str, ...]) -> Iterator[Detail]:
    """One detail per field that has a value."""
    for code in codes:
        value = getattr(content, code)
        if value is not None and value != ():
            yield Detail(code=code, value=value)
