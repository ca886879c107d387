"""Work beside requests and consumers: backfill, partner feeds and doors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

import structlog
from prometheus_client import start_http_server

from shared.database import Sessions, is_infrastructure, unless_away
from shared.messaging.management import Management, ManagementRefused
from shared.messaging.publisher import Publisher
from shared.messaging.topology import user_of
from shared.messaging.wake import Wake
from shared.pauses import rest
from shared.runtime import Runtime
from shared.settings import Settings

from . import metrics, usecases
from .drain import drain_dropped
from .models import CHANGE_CHANNEL, DOOR_CHANNEL, FEED_CHANNEL
from .provisioner import BrokerProvisioner

log = structlog.get_logger()

LOOK_SECONDS = 30.0
"""How often the provisioner looks whether the broker still has what it made."""
MANAGEMENT_ERRORS = (HTTPException, ManagementRefused)
"""What says that the management API is not itself, beside an OSError."""


async def backfill_alerts(runtime: Runtime) -> None:
    """Alert those who match an open subject since the audience changed, until cancelled.

    And what still waits after everything was released. Safe in several processes.
    """
    settings = runtime.settings
    wake = Wake(settings.database_url.get_secret_value(), CHANGE_CHANNEL)
    async with wake:
        while True:
            if not (
                await unless_away(_backfill(runtime.sessions))
                or await unless_away(_fan_out_waiting(runtime.sessions))
            ):
                await wake.wait(settings.relay_poll_seconds)


async def _backfill(sessions: Sessions) -> bool:
    """Alert whom the next notes ask for; False where there are none."""
    async with sessions.begin() as session:
        return await usecases.backfill_alerts(session)


async def _fan_out_waiting(sessions: Sessions) -> bool:
    """Fan out the next subject that waits; False where there is none."""
    async with sessions.begin() as session:
        return await usecases.fan_out_waiting(session)


async def trim_feeds(runtime: Runtime) -> None:
    """Every hour take what is past its retention out of partner feeds, until cancelled."""
    days = runtime.settings.feed_retention_days
    while True:
        if not await unless_away(_trim(runtime.sessions, days)):
            await rest(3600)


async def _trim(sessions: Sessions, days: int) -> bool:
    """One batch; whether there may be more."""
    async with sessions.begin() as session:
        return await usecases.trim_feeds(session, days=days) > 0


async def deliver_feeds(runtime: Runtime) -> None:
    """Keep partner queues filled from the feeds, through every outage, until cancelled."""
    settings = runtime.settings
    if settings.amqp_partners_url is None:
        log.warning("no AMQP doors", reason="TAAWON_AMQP_PARTNERS_URL is not set")
        return
    publisher = Publisher(
        settings.amqp_partners_url.get_secret_value(), settings.publish_timeout, "partner doors"
    )
    wake = Wake(settings.database_url.get_secret_value(), FEED_CHANNEL, DOOR_CHANNEL)
    try:
        async with wake:
            while True:
                if not await unless_away(usecases.deliver_feed(runtime.sessions, publisher)):
                    await wake.wait(settings.relay_poll_seconds)
    finally:
        await publisher.close()


async def keep_gaps(runtime: Runtime) -> None:
    """Keep what partner queues dropped as gaps of their feeds, until cancelled."""
    settings = runtime.settings
    if settings.amqp_partners_url is None:
        return
    url = settings.amqp_partners_url.get_secret_value()
    await drain_dropped(runtime.sessions, url, pause=settings.probe_seconds)


async def provision(settings: Settings, sessions: Sessions, management: Management) -> None:
    """Make partner doors as they are asked for, until cancelled."""
    assert settings.amqp_partners_url is not None
    delivery_user = user_of(settings.amqp_partners_url.get_secret_value())
    provisioner = BrokerProvisioner(management, delivery_user)
    wake = Wake(settings.database_url.get_secret_value(), DOOR_CHANNEL)
    looked = float("-inf")
    async with wake:
        while True:
            try:
                if time.monotonic() - looked > LOOK_SECONDS:
                    await _prepare(sessions, provisioner)
                    looked = time.monotonic()
                await usecases.provision_doors(sessions, provisioner)
                metrics.PROVISIONED.set_to_current_time()
            except Exception as error:
                if is_infrastructure(error) or isinstance(error, MANAGEMENT_ERRORS):
                    log.warning("provisioner waits", error=type(error).__name__)
                else:
                    log.exception("provisioner failed")
            await wake.wait(settings.relay_poll_seconds)


async def _prepare(sessions: Sessions, provisioner: BrokerProvisioner) -> None:
    """Everything is there; a broker may have come back without its data at any time."""
    await provisioner.prepare()
    await usecases.find_lost_doors(sessions, provisioner)


async def run_provisioner(settings: Settings, sessions: Sessions) -> None:
    """The provisioner as a process."""
    if settings.rabbit_management_url is None or settings.amqp_partners_url is None:
        raise SystemExit(
            "the provisioner can't start: it needs TAAWON_RABBIT_MANAGEMENT_URL"
            " (http://admin:password@host:15672) and TAAWON_AMQP_PARTNERS_URL"
        )
    management = Management.of_url(settings.rabbit_management_url.get_secret_value())
    with measured_at(settings):
        await provision(settings, sessions, management)


@contextmanager
def measured_at(settings: Settings) -> Iterator[None]:
    """Where a port is set, metrics are answered there and nothing else is: not on any door."""
    if not settings.metrics_port:
        yield
        return
    server, thread = start_http_server(settings.metrics_port, settings.metrics_host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
