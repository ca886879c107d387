"""Background work for partners: feeds, their gaps, and partner queues."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import start_http_server

from notifications import metrics
from notifications.settings import NotificationsSettings
from shared.kernel.data.database import Sessions
from shared.kernel.jobs.job import Job
from shared.kernel.jobs.runner import Runner
from shared.kernel.messaging.management import Management, ManagementRefused
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.messaging.topology import user_of
from shared.kernel.runtime import Runtime

from .gap_collector import collect_gaps
from .models import FEED_CHANNEL, PARTNER_QUEUE_CHANNEL
from .provisioner import BrokerProvisioner
from .usecases import feed_delivery, held_events, partner_queue, partners

log = structlog.get_logger()

CHECK_SECONDS = 30.0
"""Seconds between two checks whether the broker still has what the provisioner made."""


def trim_feeds(runtime: Runtime) -> Job:
    """Every hour, delete entries of partner feeds that are past their retention, batch by batch."""
    days = NotificationsSettings.of(runtime.settings).feed_retention_days

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            await held_events.delete_old_held(session, days=days)
            return await partners.trim_feeds(session, days=days) > 0

    return Job(name="feed_trimming", step=step, poll_seconds=3600)


def feed_released(runtime: Runtime) -> Job:
    """Feed to partners what waited for the release of a fan-out, one subject after the other."""

    async def step() -> bool:
        async with runtime.sessions.begin() as session:
            return await held_events.feed_released(session)

    return Job(name="held_events", step=step, poll_seconds=runtime.settings.relay_poll_seconds)


def deliver_feeds(runtime: Runtime) -> Job | None:
    """Send the entries of feeds to partner queues; None where no partner vhost is configured."""
    settings = NotificationsSettings.of(runtime.settings)
    if settings.amqp_partners_url is None:
        log.warning("no partner queues", reason="TAAWON_AMQP_PARTNERS_URL is not set")
        return None
    publisher = Publisher(
        settings.amqp_partners_url.get_secret_value(), settings.publish_timeout, "partner queues"
    )

    async def step() -> bool:
        return await feed_delivery.deliver_feed(runtime.sessions, publisher)

    return Job(
        name="feed_delivery",
        step=step,
        poll_seconds=settings.relay_poll_seconds,
        notify_channels=(FEED_CHANNEL, PARTNER_QUEUE_CHANNEL),
        close=publisher.close,
    )


async def store_gaps(runtime: Runtime) -> None:
    """Store what partner queues dropped as gaps of their feeds, until cancelled."""
    settings = NotificationsSettings.of(runtime.settings)
    if settings.amqp_partners_url is None:
        return
    url = settings.amqp_partners_url.get_secret_value()
    await collect_gaps(runtime.sessions, url, pause=settings.probe_seconds)


def provision(settings: NotificationsSettings, sessions: Sessions, management: Management) -> Job:
    """Make partner queues as they are requested, and again where the broker has lost them; end
    those that are closing."""
    assert settings.amqp_partners_url is not None
    delivery_user = user_of(settings.amqp_partners_url.get_secret_value())
    provisioner = BrokerProvisioner(management, delivery_user)
    checked_at = float("-inf")

    async def step() -> bool:
        nonlocal checked_at
        if time.monotonic() - checked_at > CHECK_SECONDS:
            await _check_broker(sessions, provisioner)
            checked_at = time.monotonic()
        await partner_queue.end_closing_partner_queues(sessions, provisioner)
        await partner_queue.provision_partner_queues(sessions, provisioner)
        metrics.PROVISIONED.set_to_current_time()
        return False

    return Job(
        name="provisioner",
        step=step,
        poll_seconds=settings.relay_poll_seconds,
        notify_channels=(PARTNER_QUEUE_CHANNEL,),
        outages=(ManagementRefused,),
    )


async def _check_broker(sessions: Sessions, provisioner: BrokerProvisioner) -> None:
    """Make what all partner queues need, and request the lost ones again.

    A broker may come back without its data at any time.
    """
    await provisioner.prepare()
    await partner_queue.find_lost_partner_queues(sessions, provisioner)


async def run_provisioner(settings: NotificationsSettings, sessions: Sessions) -> None:
    """Run the provisioner as a process; exits where a setting that it needs is missing."""
    if settings.rabbit_management_url is None or settings.amqp_partners_url is None:
        raise SystemExit(
            "the provisioner can't start: it needs TAAWON_RABBIT_MANAGEMENT_URL"
            " (http://admin:password@host:15672) and TAAWON_AMQP_PARTNERS_URL"
        )
    management = Management.of_url(settings.rabbit_management_url.get_secret_value())
    with serving_metrics(settings):
        job = provision(settings, sessions, management)
        await Runner(settings.database_url.get_secret_value(), [job]).run()


@contextmanager
def serving_metrics(settings: NotificationsSettings) -> Iterator[None]:
    """Serve metrics, and nothing else, on the internal port where the settings have one."""
    if settings.internal_port is None:
        yield
        return
    server, thread = start_http_server(settings.internal_port, settings.internal_host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
