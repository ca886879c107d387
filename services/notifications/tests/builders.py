"""Events and records as the tests of notifications need them."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

from notifications.fanout.handlers import announcement_of_call, announcement_of_idea
from shared.contracts.announcement import Announcement
from shared.contracts.criteria import Criteria, CriteriaIn
from shared.contracts.deadline import Deadline
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
from shared.contracts.registry import CooperativeRecord, CooperativesImported

SEPTEMBER = Deadline(at=datetime(2027, 9, 1, 15, tzinfo=UTC), shown="1 septembre 2027 à 16 h")
OCTOBER = Deadline(at=datetime(2027, 10, 1, 15, tzinfo=UTC), shown="1 octobre 2027 à 16 h")


def a_record(**profile: Any) -> CooperativeRecord:
    known = {
        "cooperative_id": uuid.uuid4(),
        "version": 1,
        "name_fr": "Coopérative Tifaouine",
        "name_ar": "تعاونية تيفاوين",
        "region": "MA-09",
        "province": "MA-TIZ",
        "sector": "ARGAN",
        "members_total": 15,
        "members_women": 12,
        "members_youth": 3,
        "created_on": date(2020, 5, 4),
        "language": "fr",
    }
    return CooperativeRecord.model_validate({**known, **profile})


def imported(*records: CooperativeRecord) -> CooperativesImported:
    """The event that an import wrote these records."""
    return CooperativesImported(batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=records)


def a_track(**criteria: Any) -> Track:
    """A track as funding publishes it, with criteria as a funder writes them."""
    written = CriteriaIn.model_validate(criteria)
    return Track(
        name={"fr": "Coopératives", "ar": "التعاونيات"},
        criteria=Criteria.model_validate(written.model_dump()),
        max_grant_centimes=30_000_000,
    )


def a_call(*tracks: Track, **fields: Any) -> CallSnapshot:
    known: dict[str, Any] = {
        "call_id": uuid.uuid4(),
        "version": 2,
        "state": "open",
        "funder": "INDH",
        "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
        "summary": {"fr": "Un appel.", "ar": "طلب."},
        "tracks": tracks or (a_track(provinces=["MA-TIZ"]),),
        "deadline": SEPTEMBER,
        "reference_on": date(2026, 11, 24),
        "opened_at": datetime(2026, 11, 24, 9, tzinfo=UTC),
    }
    return CallSnapshot.model_validate({**known, **fields})


def opened(call: CallSnapshot) -> CallOpened:
    return CallOpened(aggregate_version=call.version, call_id=call.call_id, call=call)


def updated(call: CallSnapshot, **changes: Any) -> CallUpdated:
    newer = call.model_copy(update={"version": call.version + 1, **changes})
    return CallUpdated(aggregate_version=newer.version, call_id=call.call_id, call=newer)


def extended(call: CallSnapshot, deadline: Deadline = OCTOBER) -> CallDeadlineExtended:
    newer = call.model_copy(update={"version": call.version + 1, "deadline": deadline})
    return CallDeadlineExtended(
        aggregate_version=newer.version,
        call_id=call.call_id,
        call=newer,
        previous_deadline=call.deadline or SEPTEMBER,
        reason="à la demande des coopératives",
    )


def cancelled(call: CallSnapshot) -> CallCancelled:
    newer = call.model_copy(update={"version": call.version + 1, "state": "cancelled"})
    return CallCancelled(
        aggregate_version=newer.version, call_id=call.call_id, call=newer, reason="budget retiré"
    )


def closed(call: CallSnapshot) -> CallClosed:
    newer = call.model_copy(update={"version": call.version + 1, "state": "closed"})
    return CallClosed(aggregate_version=newer.version, call_id=call.call_id, call=newer)


def an_idea(**fields: Any) -> IdeaSnapshot:
    known: dict[str, Any] = {
        "idea_id": uuid.uuid4(),
        "version": 3,
        "state": "published",
        "title": {"fr": "Huile d'argan", "ar": "زيت أركان"},
        "summary": {"fr": "Une idée.", "ar": "فكرة."},
        "regions": ["MA-09"],
        "sectors": ["ARGAN"],
        "budget_centimes": 20_000_000,
        "published_at": datetime(2026, 11, 24, 9, tzinfo=UTC),
        "author_id": uuid.uuid4(),
    }
    return IdeaSnapshot.model_validate({**known, **fields})


def published(idea: IdeaSnapshot) -> IdeaPublished:
    return IdeaPublished(aggregate_version=idea.version, idea_id=idea.idea_id, idea=idea)


def withdrawn(idea: IdeaSnapshot) -> IdeaWithdrawn:
    newer = idea.model_copy(update={"version": idea.version + 1, "state": "withdrawn"})
    return IdeaWithdrawn(aggregate_version=newer.version, idea_id=idea.idea_id, idea=newer)


def as_announcement(content: CallSnapshot | IdeaSnapshot) -> Announcement:
    """The call or the idea as notifications keeps it."""
    if isinstance(content, CallSnapshot):
        return announcement_of_call(content)
    return announcement_of_idea(content, occurred_at=datetime(2026, 11, 24, 9, tzinfo=UTC))
