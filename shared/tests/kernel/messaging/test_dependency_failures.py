"""Servers that refuse a service or have no room: the cause is named, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiormq.exceptions import InvalidFrameError, ProbableAuthenticationError
from structlog.testing import capture_logs

from cli.observe import alarms
from devkit.nodes import Broker as BrokerNode
from devkit.pytest_plugin import PATIENCE, TestDatabases, Vhost, eventually, test_settings
from devkit.rabbitmq import RabbitNode
from shared.kernel import outage_causes
from shared.kernel.admin import health
from shared.kernel.data.database import make_engine
from shared.kernel.data.tables import OutboxRow
from shared.kernel.messaging import topology
from shared.kernel.messaging.broker import Broker
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.runtime import Runtime
from shared.kernel.service import background, consuming, lifespan
from shared.kernel.service.spec import ServiceSpec

from .harness import DELAYS, StoneLaid, a_stone, event_source, numbers, open_queue, working

consumers = Consumers("carpentry")


@consumers.on(StoneLaid, queue="consume")
async def consume(event: StoneLaid, session: object) -> None:
    """A stone was laid."""


@asynccontextmanager
async def restarted_with(broker: BrokerNode, setting: str) -> AsyncIterator[None]:
    """Restart the broker with one more line of configuration, and at the end without it."""
    node = broker.found.server
    assert isinstance(node, RabbitNode)
    file = node.own / "conf.d" / "90-test.conf"
    file.parent.mkdir(exist_ok=True)
    node.account.give(file.parent)
    file.write_text(f"{setting}\n")
    node.account.give(file)
    await asyncio.to_thread(_started_anew, node)
    try:
        yield
    finally:
        file.unlink()
        await asyncio.to_thread(_started_anew, node)


def _started_anew(node: RabbitNode) -> None:
    node.kill()  # an orderly end takes half a minute
    node.start()


async def test_while_the_memory_alarm_is_on_events_wait_and_none_is_lost(
    own_broker: BrokerNode, databases: TestDatabases
):
    url = own_broker.url_of("masonry")
    async with event_source(own_broker.admin_url(), url, databases.kernel()) as made:
        made.publisher.timeout = 2
        with capture_logs() as logs:
            async with (
                restarted_with(own_broker, "vm_memory_high_watermark.absolute = 1MB"),
                working(made.relay.run()),
            ):
                # A kill may lose what was declared a moment before.
                await topology.apply(made.admin_url, DELAYS, ())
                # The broker takes messages until it has measured its memory.
                on = await eventually(lambda: asyncio.to_thread(alarms, own_broker.management))
                await made.write(*(a_stone(n) for n in range(20)))
                await eventually(lambda: made.count(OutboxRow.attempts > 0))
                unsent = await made.unsent()
        await topology.apply(made.admin_url, DELAYS, ())
        async with open_queue(made.admin_url) as queue, working(made.relay.run()):
            await eventually(made.all_sent)
            arrived = set(await numbers(queue, 20))

    said = {line["cause"] for line in logs if line["event"] == "event not sent yet"}
    assert said == {str(outage_causes.BROKER_SILENT)}
    assert [each.partition(" at ")[0] for each in on] == ["memory"]
    assert unsent == 20
    assert arrived == set(range(20))
    assert await made.count(OutboxRow.quarantined_at.is_not(None)) == 0


@asynccontextmanager
async def carpentry(database_url: str, amqp_url: str) -> AsyncIterator[Runtime]:
    """Run the service, whether its servers can be reached or not."""
    settings = test_settings(
        "carpentry",
        database_url,
        amqp_url=amqp_url,
        retry_delays=DELAYS,
        probe_seconds=0.1,
        graceful_seconds=1,
    )
    engine = make_engine(database_url)
    runtime = lifespan.assemble(
        ServiceSpec(name="carpentry", consumers=consumers), settings, engine
    )
    try:
        async with working(consuming.keep_consuming(runtime, consumers)):
            yield runtime
    finally:
        assert runtime.publisher is not None
        await runtime.publisher.close()
        await engine.dispose()
        gc.collect()  # connections whose closing was cut off would warn in another test


async def ready(runtime: Runtime) -> tuple[int, dict[str, dict[str, str]]]:
    answer = await health.readyz(runtime)
    return answer.status_code, json.loads(bytes(answer.body))


def nobody_there(vhost: Vhost) -> str:
    return "amqp://carpentry:secret@127.0.0.1:1/"


def no_queue(vhost: Vhost) -> str:
    return vhost.url("carpentry")


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        (nobody_there, outage_causes.BROKER_AWAY),
        (no_queue, outage_causes.BROKER_QUEUES),
    ],
)
async def test_what_keeps_a_service_from_consuming_is_named(
    vhost: Vhost, databases: TestDatabases, address, cause: outage_causes.Cause
):
    with capture_logs() as logs:
        async with carpentry(databases.kernel(), address(vhost)) as runtime:
            await eventually(lambda: runtime.not_consuming_because)
            status, said = await ready(runtime)

    assert runtime.not_consuming_because == cause
    assert (status, said["checks"]["consumers"]) == (503, False)
    assert said["causes"] == {"consumers": str(cause)}
    (line, *_) = [line for line in logs if line["event"] == "broker or topology not ready"]
    assert line["cause"] == str(cause)


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (
            ProbableAuthenticationError("ACCESS_REFUSED - Login was refused"),
            outage_causes.BROKER_LOGIN,
        ),
        (
            InvalidFrameError("Expected OpenOk, got <Connection.Close …>"),
            outage_causes.BROKER_VHOST,
        ),
    ],
)
def test_a_refused_login_is_distinguished(refusal: Exception, cause: outage_causes.Cause):
    # As a real broker makes the client raise it; the client leaves the socket of such a refusal to
    # the collector, so this run provokes none. The tests of docker-compose.yml do.
    assert outage_causes.of_broker(refusal) == cause


async def test_a_service_ends_while_its_broker_accepts_connections_and_does_not_respond(
    databases: TestDatabases,
):
    called, hung_up = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    before = asyncio.all_tasks()
    async with server:
        async with carpentry(databases.kernel(), f"amqp://x:y@127.0.0.1:{port}/"):
            await asyncio.wait_for(called.wait(), PATIENCE)
        await asyncio.wait_for(hung_up.wait(), PATIENCE)
        await eventually(lambda: asyncio.all_tasks() <= before)


async def test_a_service_that_consumes_names_no_cause(vhost: Vhost, databases: TestDatabases):
    async with carpentry(databases.kernel(), vhost.url("carpentry")) as runtime:
        await eventually(lambda: runtime.not_consuming_because)
        await topology.apply(vhost.admin_url, DELAYS, consumers.consumers)
        await eventually(lambda: runtime.consuming)

        assert await ready(runtime) == (
            200,
            {
                "ready": True,
                "checks": {"database": True, "consumers": True, "not_paused": True},
                "causes": {},
            },
        )


class Interrupted(Broker):
    """Its first connection is closed in the moment before the first channel is opened."""

    interruptions = 1

    async def start(self) -> None:
        if Interrupted.interruptions:
            Interrupted.interruptions -= 1
            transport = (await self.connect()).transport
            assert transport is not None
            await transport.connection.close()
            await transport.connection.channel()
        await super().start()


async def test_a_connection_that_closes_before_its_first_channel_is_made_anew(
    vhost: Vhost, databases: TestDatabases, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consuming, "Broker", Interrupted)
    monkeypatch.setattr(topology, "SETTLE_SECONDS", 0)
    await topology.apply(vhost.admin_url, DELAYS, consumers.consumers)

    with capture_logs() as logs:
        async with carpentry(databases.kernel(), vhost.url("carpentry")) as runtime:
            await eventually(lambda: runtime.consuming)

    said = [line for line in logs if line["event"] == "broker or topology not ready"]
    assert [line["error"] for line in said] == ["RuntimeError"]


class Stumbling(Consumers):
    """Consumers whose first subscription fails with an unexpected error."""

    stumbled = False

    def attach(self, broker: Any, process: Any) -> None:
        if not self.stumbled:
            self.stumbled = True
            raise LookupError
        super().attach(broker, process)


async def test_a_service_whose_subscription_fails_logs_it_and_subscribes_again(
    vhost: Vhost, databases: TestDatabases, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(background, "RESTART_SECONDS", 0)
    stumbling = Stumbling("carpentry")
    stumbling.on(StoneLaid, queue="consume")(consume)
    await topology.apply(vhost.admin_url, DELAYS, stumbling.consumers)
    settings = test_settings("carpentry", databases.kernel(), amqp_url=vhost.url("carpentry"))

    spec = ServiceSpec(name="carpentry", consumers=stumbling)

    with capture_logs() as logs:
        async with lifespan.running(spec, settings) as r:
            await eventually(lambda: r.consuming)

    assert [line["job"] for line in logs if line["event"] == "background work failed"] == [
        "keep_consuming"
    ]


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", f":{password}@")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (lambda url: with_password(url, "guessed"), outage_causes.DATABASE_LOGIN),
        (lambda url: url.rpartition("/")[0] + "/nowhere", outage_causes.DATABASE_MISSING),
        (lambda url: "postgresql+asyncpg://x:y@127.0.0.1:1/x", outage_causes.DATABASE_AWAY),
    ],
)
async def test_what_keeps_a_service_from_its_database_is_named(
    databases: TestDatabases, changed, cause: outage_causes.Cause
):
    async with carpentry(changed(databases.kernel()), "amqp://x:y@127.0.0.1:1/") as runtime:
        # On a busy machine the first refusal may come after the time limit.
        status, said = await eventually(lambda: _named(runtime, cause))

    assert (status, said["checks"]["database"]) == (503, False)
    assert "guessed" not in str(said)


async def _named(
    runtime: Runtime, cause: outage_causes.Cause
) -> tuple[int, dict[str, dict[str, str]]] | tuple[()]:
    status, said = await ready(runtime)
    named = said["causes"].get("database") == str(cause)
    return (status, said) if named else ()


async def test_a_broker_that_can_not_be_reached_is_reported_once_an_outage():
    publisher = Publisher("amqp://x:y@127.0.0.1:1/z", name="partner queues")

    with capture_logs() as logs:
        opened = [await publisher.is_open() for _ in range(3)]

    assert opened == [False, False, False]
    assert [(line["event"], line["publisher"]) for line in logs] == [
        ("no connection to the broker", "partner queues")
    ]
    assert "RabbitMQ does not answer" in logs[0]["cause"]
