"""Reads: inboxes with their reasons, totals of an event, why and why not, feeds."""

from .alerts import AlertRow, NoSuchCooperative, language_of, list_alerts
from .approvals import decisions_about, kept_back_by, list_approvals
from .ledger import LedgerRow, Place, count_untold, ledger_batches, ledger_page
from .owners import owner_of
from .partner_ledger import (
    Gap,
    PartnerEntry,
    Went,
    count_open_gaps,
    gaps_of,
    partner_batches,
    partner_entries,
    require_partner,
)
from .partners import get_door, handed_of, last_position, list_subscriptions, read_feed
from .rows import AnyRow, Within
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
    "Gap",
    "Known",
    "LedgerRow",
    "MomentToCome",
    "NoSuchCooperative",
    "NoSuchSubject",
    "PartnerEntry",
    "Place",
    "Went",
    "Within",
    "audience_totals",
    "corrections_of",
    "count_open_gaps",
    "count_untold",
    "decisions_about",
    "find_why",
    "gaps_of",
    "get_door",
    "get_subject",
    "handed_of",
    "kept_back_by",
    "language_of",
    "last_position",
    "ledger_batches",
    "ledger_page",
    "list_alerts",
    "list_approvals",
    "list_subjects",
    "list_subscriptions",
    "owner_of",
    "partner_batches",
    "partner_entries",
    "read_feed",
    "recipients",
    "repeated_alerts",
    "require_partner",
    "totals_by",
]
