"""Subjects, audiences, subscriptions: what follows from which fact. Pure Python."""

from .audience_check import AudienceCheckRule
from .doors import Door, DoorState, queue_name, user_name
from .fanout_approval import EVERYTHING, ApprovalState, FanoutApproval, StopsOneOnly
from .subjects import (
    AlertKind,
    OfAnotherService,
    Step,
    Subject,
    SubjectState,
    audience_tracks,
    changes_between,
    correction_kind,
    decide,
    may_concern,
)
from .subscriptions import READINESS_ORDER, Sides, SubscriptionFilter, sides_of

__all__ = [
    "EVERYTHING",
    "READINESS_ORDER",
    "AlertKind",
    "ApprovalState",
    "AudienceCheckRule",
    "Door",
    "DoorState",
    "FanoutApproval",
    "OfAnotherService",
    "Sides",
    "Step",
    "StopsOneOnly",
    "Subject",
    "SubjectState",
    "SubscriptionFilter",
    "audience_tracks",
    "changes_between",
    "correction_kind",
    "decide",
    "may_concern",
    "queue_name",
    "sides_of",
    "user_name",
]
