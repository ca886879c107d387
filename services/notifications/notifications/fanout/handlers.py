"""Calls, ideas and announcements of any kind become alerts."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.announcement import AnnouncementPublished
from shared.kernel.messaging.consumers import Consumers

from .announcements import (
    CALL_EVENTS,
    IDEA_EVENTS,
    CallEvent,
    IdeaEvent,
    announcement_of_call,
    announcement_of_idea,
    reason_of,
)
from .usecases.follow_subject import follow_subject

consumers = Consumers("notifications")


@consumers.on(*CALL_EVENTS, prefetch=1, queue="follow_call")
async def follow_call(event: CallEvent, session: AsyncSession) -> None:
    """Every cooperative that matches an open call is alerted; those alerted before get changes."""
    await follow_subject(session, announcement_of_call(event.call, reason_of(event)))


@consumers.on(*IDEA_EVENTS, prefetch=1, queue="follow_idea")
async def follow_idea(event: IdeaEvent, session: AsyncSession) -> None:
    """Every cooperative of an idea's territory and sectors is alerted; a withdrawal corrects."""
    published = announcement_of_idea(
        event.idea, occurred_at=event.occurred_at, reason=reason_of(event)
    )
    await follow_subject(session, published)


@consumers.on(AnnouncementPublished, prefetch=1, queue="follow_announcement")
async def follow_announcement(event: AnnouncementPublished, session: AsyncSession) -> None:
    """Every cooperative that matches what any service publishes is alerted, and corrected."""
    await follow_subject(session, event.announcement)
