"""Reads: inboxes with their reasons, totals of an event, why and why not, feeds."""

from .alerts import AlertRow, NoSuchCooperative, language_of, list_alerts
from .partners import get_door, list_subscriptions, read_feed
from .rows import AnyRow
from .totals import (
    NoSuchSubject,
    audience_totals,
    get_subject,
    list_subjects,
    recipients,
    repeated_alerts,
    totals_by,
)

__all__ = [
    "AlertRow",
    "AnyRow",
    "NoSuchCooperative",
    "NoSuchSubject",
    "audience_totals",
    "get_door",
    "get_subject",
    "language_of",
    "list_alerts",
    "list_subjects",
    "list_subscriptions",
    "read_feed",
    "recipients",
    "repeated_alerts",
    "totals_by",
]
