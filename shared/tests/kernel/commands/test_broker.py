"""`taawon broker users` gives each service a user with the rights it needs, and no more."""

from __future__ import annotations

import uuid

import aio_pika
import pytest
from typer.testing import CliRunner

from shared.errors import Invalid
from shared.kernel.commands.broker import BrokerAway, app
from shared.kernel.messaging import topology

pytestmark = pytest.mark.servers


@pytest.fixture
def make_users(rabbitmq, monkeypatch):
    """Runs the command as a deployment does, and returns the vhost that it made."""
    vhost = f"t{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", rabbitmq.management_url())

    def run(*services: str, password: str = "first") -> str:
        for service in services:
            monkeypatch.setenv(f"TAAWON_{service.upper()}_BROKER_PASSWORD", password)
        done = CliRunner().invoke(
            app, ["users", *services, "--vhost", vhost], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return vhost

    yield run
    rabbitmq.management.delete_vhost(vhost)
    for service in ("mill", "kiln"):
        rabbitmq.management.delete_user(service)


def test_a_service_may_read_its_own_queues_and_publish_its_own_events(make_users, rabbitmq):
    vhost = make_users("mill", "kiln")

    (rights,) = rabbitmq.management.get("users/mill/permissions")
    (topics,) = rabbitmq.management.get("users/mill/topic-permissions")
    assert (rights["vhost"], rights["configure"], rights["read"]) == (vhost, "^$", r"^mill\..*$")
    assert (topics["exchange"], topics["write"]) == (topology.EVENTS, r"^mill\..*$")
    assert rabbitmq.management.get("users/mill")["tags"] == []


async def test_after_a_repeat_a_user_has_the_new_password(make_users, rabbitmq):
    vhost = make_users("mill", password="first")

    make_users("mill", password="second")

    url = rabbitmq.found.amqp_url("mill", "second", vhost)
    async with await aio_pika.connect(url) as connection:
        assert not connection.is_closed


def test_a_service_without_a_password_is_named_and_no_user_is_made(rabbitmq, monkeypatch):
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", rabbitmq.management_url())
    monkeypatch.delenv("TAAWON_MILL_BROKER_PASSWORD", raising=False)

    with pytest.raises(Invalid, match="TAAWON_MILL_BROKER_PASSWORD"):
        CliRunner().invoke(app, ["users", "mill"], catch_exceptions=False)


def test_a_broker_that_does_not_answer_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", "http://boss:hidden@127.0.0.1:1")
    monkeypatch.setenv("TAAWON_MILL_BROKER_PASSWORD", "first")

    with pytest.raises(BrokerAway, match=r"boss answered at http://127.0.0.1:1") as refusal:
        CliRunner().invoke(app, ["users", "mill", "--patience", "0"], catch_exceptions=False)

    assert "hidden" not in refusal.value.detail
