"""A session and an HTTP API of notifications on a real database that is rolled back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from devkit import pytest_plugin
from notifications.app import create_app
from notifications.partners.domain.partner_queue import PartnerQueue, broker_hash, queue_name
from notifications.partners.provisioner import QUEUE_ARGUMENTS, BrokerProvisioner
from notifications.partners.usecases import partner_queue
from notifications.partners.usecases.partner_queue import DROPPED, PARTNER_VHOST
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.messaging.topology import BrokerUser

from .partners.partners import NOW, ServedPartner


@pytest.fixture
async def session(databases: pytest_plugin.TestDatabases) -> AsyncIterator[AsyncSession]:
    async with pytest_plugin.database_session(databases.migrated("notifications")) as session:
        yield session


@pytest.fixture(scope="session")
def app(databases: pytest_plugin.TestDatabases) -> FastAPI:
    """Built once: its routes hold no state of a test."""
    url = databases.migrated("notifications")
    return create_app(pytest_plugin.test_settings("notifications", url))


@pytest.fixture
async def api(
    app: FastAPI, databases: pytest_plugin.TestDatabases, tokens: pytest_plugin.Tokens
) -> AsyncIterator[pytest_plugin.Api]:
    url = databases.migrated("notifications")
    async with pytest_plugin.api(lambda _: app, "notifications", url, tokens) as api:
        yield api


@pytest.fixture
async def served(
    databases: pytest_plugin.TestDatabases, rabbitmq: pytest_plugin.Broker
) -> AsyncIterator[ServedPartner]:
    """A partner that is subscribed to everything, with a queue for four messages on a real
    broker."""
    slug = f"indh-{uuid.uuid4().hex[:8]}"
    rabbitmq.add_service_user(BrokerUser("notifications"))
    arguments = {**QUEUE_ARGUMENTS, "x-max-length": 4}
    provisioner = BrokerProvisioner(rabbitmq.management, "notifications", arguments)
    await provisioner.prepare()
    await asyncio.to_thread(
        rabbitmq.management.delete, f"queues/{PARTNER_VHOST}/{DROPPED}/contents"
    )
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    new_queue = PartnerQueue(
        slug=slug,
        queue=queue_name(slug),
        username=f"p-{slug}",
        password_hash=broker_hash("secret"),
        requested_by=uuid.uuid4(),
        requested_at=NOW,
    )
    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO partner (slug) VALUES (:slug)"), {"slug": slug})
        await session.execute(
            text(
                "INSERT INTO subscription (subscription_id, slug, filter)"
                " VALUES (gen_random_uuid(), :slug, '{}')"
            ),
            {"slug": slug},
        )
        session.add(new_queue)
    assert await partner_queue.provision_partner_queues(sessions, provisioner) == 1
    yield ServedPartner(sessions, rabbitmq, new_queue, "secret")
    await engine.dispose()
