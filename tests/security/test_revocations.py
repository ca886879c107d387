"""Whoever is disabled, demoted or revoked is refused by every service, by event."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, TestDatabases, Tokens
from devkit.stack_layout import SERVICES
from shared.contracts.registry import TokensRevoked
from shared.kernel.data import revocations
from shared.kernel.service.app import build
from shared.kernel.service.spec import installed_consumers, spec_of

OTHERS = [service for service in SERVICES if service != "registry"]


@pytest.fixture(params=SERVICES)
async def service(
    request: pytest.FixtureRequest, databases: TestDatabases, tokens: Tokens
) -> AsyncIterator[Api]:
    name = request.param
    url = databases.migrated(name)
    async with pytest_plugin.api(
        lambda settings: build(spec_of(name), settings), name, url, tokens
    ) as api:
        yield api


async def revoke(api: Api, event: TokensRevoked) -> None:
    """As the consumer of the service does it; the registry stores it with the change itself."""
    name = api.runtime.settings.service
    async with api.sessions.begin() as session:
        if name == "registry":
            await revocations.store_revocation(session, event.subject_id, event.not_before)
            return
        (consumer,) = (
            each for each in installed_consumers() if each.queue == f"{name}.store_revocation"
        )
        await consumer.handler(event, session)


async def test_a_revoked_token_is_refused_and_one_from_afterwards_is_not(
    service: Api, tokens: Tokens
) -> None:
    subject, now = uuid.uuid4(), datetime.now(UTC)
    old, new = (
        tokens.headers("operator", subject=subject, iat=issued.timestamp())
        for issued in (now - timedelta(milliseconds=1), now + timedelta(milliseconds=1))
    )
    before = await service.http.get("/replays", headers=old)

    await revoke(service, TokensRevoked(subject_id=subject, not_before=now))

    refused = await service.http.get("/replays", headers=old)
    assert (before.status_code, refused.status_code) == (200, 401)
    assert refused.json()["code"] == "token-revoked"
    assert "POST /token" in refused.json()["detail"]
    assert (await service.http.get("/replays", headers=new)).status_code == 200


def test_every_service_beside_the_registry_consumes_revocations() -> None:
    topic = TokensRevoked.topic
    consuming = {each.queue for each in installed_consumers() if topic in each.topics}

    assert consuming == {f"{service}.store_revocation" for service in OTHERS}
