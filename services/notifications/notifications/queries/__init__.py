"""Reads: inboxes with their reasons, totals of an event, why and why not, feeds."""

from .alerts import AlertRow, NoSuchCooperative, language_of, list_alerts
from .holds import decisions_about
from .ledger import LedgerRow, ledger_batches
from .owners import owner_of
from .partners import get_door, list_subscriptions, read_feed
from .rows import AnyRow
from .totals import (
    NoSuchSubject,
    audience_totals,
    corrections_of,
    get_subject,
    list_subjects,
    recipients,
    repeated_alerts,
    totals_by,
)
from .why import Known, MomentToCome, find_why

__all__ = [
    "AlertRow",
    "AnyRow",
    "Known",
    "LedgerRow",
    "MomentToCome",
    "NoSuchCooperative",
    "NoSuchSubject",
    "audience_totals",
    "corrections_of",
    "decisions_about",
    "find_why",
    "get_door",
    "get_subject",
    "language_of",
    "ledger_batches",
    "list_alerts",
    "list_subjects",
    "list_subscriptions",
    "owner_of",
    "read_feed",
    "recipients",
    "repeated_alerts",
    "totals_by",
]
