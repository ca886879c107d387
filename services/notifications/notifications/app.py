"""Wiring: settings, routes, consumers and background work of notifications."""

from __future__ import annotations

from fastapi import FastAPI

from shared.kernel.messaging.consumers import Consumers
from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from . import db_metrics, owners
from .audience.handlers import consumers as audience_consumers
from .contacts.handlers import consumers as contacts_consumers
from .contacts.sealed_columns import SEALED_COLUMNS
from .explanations import api as explanations
from .fanout import api as approvals
from .fanout.domain.fanout_approval import EVERYTHING
from .fanout.handlers import consumers as fanout_consumers
from .fanout.jobs import backfill_alerts
from .inbox import api as inbox
from .ledger.api import ledger, totals
from .partners import jobs as partner_jobs
from .partners.api import feeds, partner_ledger, partners
from .partners.handlers import consumers as partner_consumers
from .partners.partner_document import partner_document
from .partners.queries.partners import partner_deliveries
from .settings import NotificationsSettings

ROUTES = (inbox, totals, explanations, ledger, approvals, partners, feeds, partner_ledger)
COUNTS = {
    "feed_gaps": "SELECT count(*) FROM feed_gap WHERE closed_at IS NULL",
    "held": "SELECT count(*) FROM fanout_approval WHERE state = 'held'",
}
"""What the status of notifications counts beside what it counts of every service."""
NAMES = {
    "feed_gaps": "SELECT DISTINCT slug FROM feed_gap WHERE closed_at IS NULL ORDER BY slug",
    "held": f"SELECT CASE WHEN subject_id = '{EVERYTHING}' THEN 'everything'"
    " ELSE subject_id::text END FROM fanout_approval WHERE state = 'held' ORDER BY decided_at",
}
"""Which partners and subjects were counted. Only operators read the status."""

TAGS = {
    "inbox": "The alerts of a cooperative, and what each account did with them.",
    "totals": "The audience, who was alerted of a subject, and why or why not.",
    "fan-out approval": "Previews of a fan-out, and what operators decided about it.",
    "partners": "Subscriptions of partner institutions, their feeds, queues and ledgers.",
}

SPEC = ServiceSpec(
    name="notifications",
    about="Who is alerted of which idea, call or announcement, once, and why.",
    tags=TAGS,
    settings=NotificationsSettings,
    routers=tuple(routes.router for routes in ROUTES),
    consumers=Consumers.of(
        audience_consumers, fanout_consumers, partner_consumers, contacts_consumers
    ),
    background=(partner_jobs.store_gaps,),
    jobs=(
        backfill_alerts,
        partner_jobs.feed_released,
        partner_jobs.deliver_feeds,
        partner_jobs.trim_feeds,
    ),
    sealed=SEALED_COLUMNS,
    owner_of=owners.owner_of,
    counts=COUNTS,
    names=NAMES,
    measures=db_metrics.MEASURES,
    partner_deliveries=partner_deliveries,
    documents={"partner": partner_document},
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    return build(SPEC, settings)
