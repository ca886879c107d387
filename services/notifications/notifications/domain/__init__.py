"""Subjects, audiences, subscriptions: what follows from which fact. Pure Python."""

from .confirmations import ConfirmationRule
from .doors import Door, DoorState, queue_name, user_name
from .holds import EVERYTHING, Hold, HoldState, StopsOneOnly
from .subjects import (
    AlertKind,
    News,
    Step,
    Subject,
    SubjectKind,
    SubjectState,
    audience_tracks,
    changes_between,
    correction_kind,
    may_concern,
    news_of,
)
from .subscriptions import READINESS_ORDER, Sides, SubscriptionFilter, sides_of

__all__ = [
    "EVERYTHING",
    "READINESS_ORDER",
    "AlertKind",
    "ConfirmationRule",
    "Door",
    "DoorState",
    "Hold",
    "HoldState",
    "News",
    "Sides",
    "Step",
    "StopsOneOnly",
    "Subject",
    "SubjectKind",
    "SubjectState",
    "SubscriptionFilter",
    "audience_tracks",
    "changes_between",
    "correction_kind",
    "may_concern",
    "news_of",
    "queue_name",
    "sides_of",
    "user_name",
]
