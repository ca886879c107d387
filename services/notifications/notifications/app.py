"""Wiring: settings, routes, reactions and background work of notifications."""

from __future__ import annotations

from fastapi import FastAPI

from notifications import api, db_metrics, handlers, owners
from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from .contacts.sealed_columns import HOLDINGS
from .fanout import jobs as fanout_jobs
from .partners import jobs
from .partners.queries import partners
from .settings import NotificationsSettings

COUNTS = {
    "feed_gaps": "SELECT count(*) FROM feed_gap WHERE closed_at IS NULL",
    "held": "SELECT count(*) FROM fanout_approval WHERE state = 'held'",
}
"""What an operator should see of notifications beside what every service tells."""
NAMES = {
    "feed_gaps": "SELECT DISTINCT slug FROM feed_gap WHERE closed_at IS NULL ORDER BY slug",
    "held": "SELECT CASE WHEN subject_id = '00000000-0000-0000-0000-000000000000' THEN 'everything'"
    " ELSE subject_id::text END FROM fanout_approval WHERE state = 'held' ORDER BY decided_at",
}
"""Which partners and subjects these are: operators alone read the status."""

SPEC = ServiceSpec(
    name="notifications",
    settings=NotificationsSettings,
    router=api.router,
    consumers=handlers.consumers,
    background=(jobs.keep_gaps,),
    jobs=(fanout_jobs.backfill_alerts, jobs.deliver_feeds, jobs.trim_feeds),
    sealed=HOLDINGS,
    owner_of=owners.owner_of,
    counts=COUNTS,
    names=NAMES,
    measures=db_metrics.MEASURES,
    handed_of=partners.handed_of,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless given."""
    return build(SPEC, settings)
