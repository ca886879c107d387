"""Partner queues on a real broker: made one by one, without a lock, and made again when lost."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime

import aio_pika
import pytest
from aiormq.exceptions import AMQPError
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from devkit.pytest_plugin import PATIENCE, eventually, test_settings
from notifications.partners import jobs
from notifications.partners.domain.partner_queue import (
    PartnerQueue,
    PartnerQueueState,
    broker_hash,
    queue_name,
    user_name,
)
from notifications.partners.models import partner, partner_queue_table
from notifications.partners.provisioner import BrokerProvisioner
from notifications.partners.usecases import partner_queue
from notifications.partners.usecases.partner_queue import PARTNER_VHOST
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.jobs.runner import Runner
from shared.kernel.messaging.management import Management
from shared.kernel.messaging.topology import BrokerUser

pytestmark = pytest.mark.servers


class Provisioner(BrokerProvisioner):
    """The real one; a test may do something once `before` or `after` its work."""

    before = after = None

    async def make(self, partner_queue):
        await self._happen("before", partner_queue)
        await super().make(partner_queue)
        await self._happen("after", partner_queue)

    async def close(self, partner_queue):
        await self._happen("before", partner_queue)
        await super().close(partner_queue)
        await self._happen("after", partner_queue)

    async def broker_state(self):
        await self._happen("before", None)
        state = await super().broker_state()
        await self._happen("after", None)
        return state

    async def _happen(self, when, partner_queue):
        action = getattr(self, when)
        if action:
            setattr(self, when, None)
            await action(partner_queue)


class PartnerQueues:
    """The partner queues of a database and a broker, for one test."""

    def __init__(self, sessions, rabbitmq):
        self.sessions, self.broker = sessions, rabbitmq
        self.management = rabbitmq.management

    def provisioner(self):
        return Provisioner(self.management, "notifications")

    async def request(self, name, password="secret"):
        slug = f"{name}-{uuid.uuid4().hex[:8]}"
        async with self.sessions.begin() as session:
            await session.execute(partner.insert().values(slug=slug))
            session.add(
                PartnerQueue(
                    slug=slug,
                    queue=queue_name(slug),
                    username=user_name(slug),
                    password_hash=broker_hash(password),
                    requested_by=uuid.uuid4(),
                    requested_at=datetime.now(UTC),
                )
            )
        return slug

    async def renew(self, slug, password):
        async with self.sessions.begin() as session:
            # A lock that a provisioner held would make this fail.
            await session.execute(text("SET LOCAL lock_timeout = '60s'"))
            partner_queue = await session.get_one(PartnerQueue, slug, with_for_update=True)
            now = datetime.now(UTC)
            partner_queue.renew(broker_hash(password), by=uuid.uuid4(), authorized_at=now, at=now)

    async def partner_queue(self, slug):
        async with self.sessions() as session:
            return await session.get_one(PartnerQueue, slug)

    async def state(self, slug):
        return (await self.partner_queue(slug)).state

    async def connect(self, slug, password):
        url = self.broker.found.amqp_url(user_name(slug), password, PARTNER_VHOST)
        return await aio_pika.connect(url)

    async def accepts(self, slug, password):
        """Whether the broker lets the partner in with this password."""
        try:
            connection = await self.connect(slug, password)
        except (AMQPError, ConnectionError):
            return False
        await connection.close()
        return True

    async def provision(self, provisioner=None):
        return await partner_queue.provision_partner_queues(
            self.sessions, provisioner or self.provisioner()
        )

    async def find_lost(self, provisioner=None):
        return await partner_queue.find_lost_partner_queues(
            self.sessions, provisioner or self.provisioner()
        )


@pytest.fixture
async def queues(databases, rabbitmq):
    rabbitmq.add_service_user(BrokerUser("notifications"))
    engine = make_engine(databases.fresh("notifications"))
    queues = PartnerQueues(make_sessions(engine), rabbitmq)
    await queues.provisioner().prepare()
    yield queues
    await engine.dispose()


async def test_no_transaction_is_open_while_the_broker_works(queues):
    await queues.request("a")
    await queues.request("b")
    working = Provisioner(queues.management, "notifications")
    seen = []

    async def look(_):
        async with queues.sessions() as session:
            found = await session.scalars(
                text(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                )
            )
            seen.append(list(found))

    working.before = working.after = look

    assert await queues.provision(working) == 2
    working.before = look
    assert await queues.find_lost(working) == 0
    assert seen == [[], [], []]


async def test_a_partner_queue_that_the_broker_refuses_does_not_hold_up_the_others(queues):
    first, refused, last = [await queues.request(name) for name in ("a", "b", "c")]
    queue = (await queues.partner_queue(refused)).queue
    path = f"queues/{PARTNER_VHOST}/{queue}"
    await asyncio.to_thread(queues.management.put, path, {"durable": True, "arguments": {}})

    with capture_logs() as logs:
        assert await queues.provision() == 2

    (warned,) = [log for log in logs if log["log_level"] == "warning"]
    assert (warned["partner"], warned["status"]) == (refused, 400)
    assert (await queues.partner_queue(refused)).password_hash not in str(logs)
    assert [await queues.state(slug) for slug in (first, refused, last)] == [
        PartnerQueueState.READY,
        PartnerQueueState.REQUESTED,
        PartnerQueueState.READY,
    ]
    await asyncio.to_thread(queues.management.delete, path)
    assert await queues.provision() == 1
    assert await queues.accepts(refused, "secret")


async def test_credentials_that_are_renewed_while_a_queue_is_made_are_made_next(queues):
    slug = await queues.request("a", "old")
    provisioner = queues.provisioner()

    async def renew(partner_queue):
        await queues.renew(partner_queue.slug, "new")

    provisioner.after = renew

    assert await queues.provision(provisioner) == 0
    assert await queues.state(slug) is PartnerQueueState.REQUESTED
    assert await queues.provision(provisioner) == 1
    assert await queues.accepts(slug, "new")
    assert not await queues.accepts(slug, "old")


async def test_a_new_password_closes_connections_made_with_the_old_one(queues):
    slug, other = await queues.request("a", "old"), await queues.request("b", "other")
    await queues.provision()
    holder, neighbour = await queues.connect(slug, "old"), await queues.connect(other, "other")
    closed = asyncio.Event()
    holder.close_callbacks.add(lambda *_: closed.set())
    await queues.renew(slug, "new")

    assert await queues.provision() == 1

    async with asyncio.timeout(PATIENCE):
        await closed.wait()
    assert not await queues.accepts(slug, "old")
    assert await queues.accepts(slug, "new")
    assert not neighbour.is_closed
    await neighbour.close()


async def test_a_partner_queue_that_two_provisioners_make_at_once_becomes_ready_once(queues):
    slug = await queues.request("a")
    provisioner, other = queues.provisioner(), []

    async def make_too(_):
        other.append(await queues.provision())

    provisioner.before = make_too

    assert (await queues.provision(provisioner), other) == (0, [1])
    assert await queues.state(slug) is PartnerQueueState.READY
    assert await queues.accepts(slug, "secret")


async def test_a_password_that_a_late_provisioner_overwrote_is_corrected(queues):
    slug = await queues.request("a", "old")
    late = queues.provisioner()

    async def be_overtaken(partner_queue):
        await queues.renew(partner_queue.slug, "new")
        assert await queues.provision() == 1

    late.before = be_overtaken
    assert await queues.provision(late) == 0
    assert not await queues.accepts(slug, "new")
    sent = (await queues.partner_queue(slug)).delivered_position

    assert (await queues.find_lost(), await queues.provision()) == (1, 1)

    assert await queues.accepts(slug, "new")
    assert (await queues.find_lost(), (await queues.partner_queue(slug)).delivered_position) == (
        0,
        sent,
    )


async def test_only_the_queue_that_is_gone_is_filled_anew(queues):
    whole, lost = await queues.request("a"), await queues.request("b")
    await queues.provision()
    async with queues.sessions.begin() as session:
        for slug in (whole, lost):
            await session.execute(
                text(
                    "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, headers,"
                    " body, subscriptions)"
                    " VALUES (:slug, 1, gen_random_uuid(), 't', now(), '{}', '', '{}')"
                ),
                {"slug": slug},
            )
        await session.execute(update(partner_queue_table).values(delivered_position=1))
    queue = (await queues.partner_queue(lost)).queue
    await asyncio.to_thread(queues.management.delete, f"queues/{PARTNER_VHOST}/{queue}")
    await asyncio.to_thread(queues.management.delete_user, user_name(whole))

    assert (await queues.find_lost(), await queues.provision()) == (2, 2)

    async with queues.sessions() as session:
        columns = select(partner_queue_table.c.slug, partner_queue_table.c.delivered_position)
        assert set((await session.execute(columns)).all()) == {(whole, 1), (lost, 0)}
    assert await queues.accepts(whole, "secret")


async def test_a_partner_queue_that_was_made_again_since_the_check_is_not_lost(queues):
    slug = await queues.request("a")
    await queues.provision()
    queue = (await queues.partner_queue(slug)).queue
    await asyncio.to_thread(queues.management.delete, f"queues/{PARTNER_VHOST}/{queue}")
    slow = queues.provisioner()

    async def be_overtaken(_):
        assert (await queues.find_lost(), await queues.provision()) == (1, 1)

    slow.after = be_overtaken

    assert await queues.find_lost(slow) == 0
    assert await queues.state(slug) is PartnerQueueState.READY


@contextlib.asynccontextmanager
async def provisioning(queues, management, sessions=None):
    """Run the provisioner, and yield what it logs; it must still be running at the end."""
    url = queues.sessions.kw["bind"].url.render_as_string(hide_password=False)
    settings = test_settings(
        "notifications",
        url,
        amqp_partners_url="amqp://notifications@127.0.0.1:1/partners",
        relay_poll_seconds=0.01,
    )
    with capture_logs() as logs:
        job = jobs.provision(settings, sessions or queues.sessions, management)
        work = asyncio.create_task(Runner(url, [job]).run())
        yield logs
        assert not work.done(), work.exception()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def test_a_provisioner_survives_answers_that_are_not_http_and_logs_them(queues):
    asked = []

    async def answer(reader, writer):
        asked.append(await reader.readline())
        writer.write(b"no such thing as HTTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        management = Management(f"http://127.0.0.1:{port}", "admin", "secret")
        async with provisioning(queues, management) as logs:
            await eventually(lambda: len(asked) > 2)

    assert {(log["event"], log["error"]) for log in logs} == {
        ("background work waits", "ManagementAway")
    }


async def test_a_provisioner_logs_that_it_waits_for_its_database(queues):
    url = queues.sessions.kw["bind"].url
    async with queues.sessions.begin() as session:
        await session.execute(text(f"ALTER DATABASE \"{url.database}\" SET lock_timeout = '10ms'"))
    engine = make_engine(url.render_as_string(hide_password=False))
    async with queues.sessions.begin() as session:
        await session.execute(text("LOCK TABLE partner_queue"))
        async with provisioning(queues, queues.management, make_sessions(engine)) as logs:
            await eventually(lambda: logs)
    await engine.dispose()

    assert logs[0]["event"] == "background work waits"


async def test_a_provisioner_logs_an_unexpected_error_and_goes_on(queues, monkeypatch):
    asked = []

    async def fail(*_):
        asked.append(1)
        raise ValueError("no JSON")

    monkeypatch.setattr("notifications.partners.jobs.partner_queue.provision_partner_queues", fail)
    async with provisioning(queues, queues.management) as logs:
        await eventually(lambda: len(asked) > 1)

    assert {(log["event"], log["log_level"]) for log in logs} == {
        ("background work failed", "error")
    }
