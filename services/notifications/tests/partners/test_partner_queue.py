"""Doors on a real broker: made one by one, without a lock, and found again when they are lost."""

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
    Door,
    DoorState,
    broker_hash,
    queue_name,
    user_name,
)
from notifications.partners.models import amqp_door, partner
from notifications.partners.provisioner import BrokerProvisioner
from notifications.partners.usecases import partner_queue
from notifications.partners.usecases.partner_queue import PARTNER_VHOST
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.jobs.runner import Runner
from shared.kernel.messaging.management import Management
from shared.kernel.messaging.topology import BrokerUser

pytestmark = pytest.mark.servers


class Provisioner(BrokerProvisioner):
    """The real one; a test may let something happen before or after its own work."""

    before = after = None

    async def make(self, door):
        await self._happen("before", door)
        await super().make(door)
        await self._happen("after", door)

    async def made(self):
        await self._happen("before", None)
        made = await super().made()
        await self._happen("after", None)
        return made

    async def _happen(self, when, door):
        happening = getattr(self, when)
        if happening:
            setattr(self, when, None)
            await happening(door)


class World:
    """A database and a broker with doors that partners asked for."""

    def __init__(self, sessions, rabbitmq):
        self.sessions, self.broker = sessions, rabbitmq
        self.management = rabbitmq.management

    def provisioner(self):
        return Provisioner(self.management, "notifications")

    async def ask(self, name, password="secret"):
        slug = f"{name}-{uuid.uuid4().hex[:8]}"
        async with self.sessions.begin() as session:
            await session.execute(partner.insert().values(slug=slug))
            session.add(
                Door(
                    slug=slug,
                    queue=queue_name(slug),
                    username=user_name(slug),
                    password_hash=broker_hash(password),
                    requested_at=datetime.now(UTC),
                )
            )
        return slug

    async def renew(self, slug, password):
        async with self.sessions.begin() as session:
            # A lock that a provisioner kept would show here.
            await session.execute(text("SET LOCAL lock_timeout = '60s'"))
            door = await session.get_one(Door, slug, with_for_update=True)
            door.renew(broker_hash(password), at=datetime.now(UTC))

    async def door(self, slug):
        async with self.sessions() as session:
            return await session.get_one(Door, slug)

    async def state(self, slug):
        return (await self.door(slug)).state

    async def connect(self, slug, password):
        url = self.broker.found.amqp_url(user_name(slug), password, PARTNER_VHOST)
        return await aio_pika.connect(url)

    async def lets_in(self, slug, password):
        try:
            connection = await self.connect(slug, password)
        except (AMQPError, ConnectionError):
            return False
        await connection.close()
        return True

    async def provision(self, provisioner=None):
        return await partner_queue.provision_doors(self.sessions, provisioner or self.provisioner())

    async def look(self, provisioner=None):
        return await partner_queue.find_lost_doors(self.sessions, provisioner or self.provisioner())


@pytest.fixture
async def world(databases, rabbitmq):
    rabbitmq.add_service_user(BrokerUser("notifications"))
    engine = make_engine(databases.fresh("notifications"))
    world = World(make_sessions(engine), rabbitmq)
    await world.provisioner().prepare()
    yield world
    await engine.dispose()


async def test_no_transaction_is_open_while_the_broker_works(world):
    await world.ask("a")
    await world.ask("b")
    working = Provisioner(world.management, "notifications")
    seen = []

    async def look(_):
        async with world.sessions() as session:
            found = await session.scalars(
                text(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                )
            )
            seen.append(list(found))

    working.before = working.after = look

    assert await world.provision(working) == 2
    working.before = look
    assert await world.look(working) == 0
    assert seen == [[], [], []]


async def test_a_door_that_the_broker_refuses_does_not_hold_up_the_others(world):
    first, refused, last = [await world.ask(name) for name in ("a", "b", "c")]
    queue = (await world.door(refused)).queue
    path = f"queues/{PARTNER_VHOST}/{queue}"
    await asyncio.to_thread(world.management.put, path, {"durable": True, "arguments": {}})

    with capture_logs() as logs:
        assert await world.provision() == 2

    (warned,) = [log for log in logs if log["log_level"] == "warning"]
    assert (warned["partner"], warned["status"]) == (refused, 400)
    assert (await world.door(refused)).password_hash not in str(logs)
    assert [await world.state(slug) for slug in (first, refused, last)] == [
        DoorState.READY,
        DoorState.REQUESTED,
        DoorState.READY,
    ]
    await asyncio.to_thread(world.management.delete, path)
    assert await world.provision() == 1
    assert await world.lets_in(refused, "secret")


async def test_credentials_that_are_renewed_while_a_door_is_made_are_made_next(world):
    slug = await world.ask("a", "old")
    provisioner = world.provisioner()

    async def renew(door):
        await world.renew(door.slug, "new")

    provisioner.after = renew

    assert await world.provision(provisioner) == 0
    assert await world.state(slug) is DoorState.REQUESTED
    assert await world.provision(provisioner) == 1
    assert await world.lets_in(slug, "new")
    assert not await world.lets_in(slug, "old")


async def test_whoever_is_connected_with_the_old_password_is_put_out_by_a_new_one(world):
    slug, other = await world.ask("a", "old"), await world.ask("b", "other")
    await world.provision()
    holder, neighbour = await world.connect(slug, "old"), await world.connect(other, "other")
    closed = asyncio.Event()
    holder.close_callbacks.add(lambda *_: closed.set())
    await world.renew(slug, "new")

    assert await world.provision() == 1

    async with asyncio.timeout(PATIENCE):
        await closed.wait()
    assert not await world.lets_in(slug, "old")
    assert await world.lets_in(slug, "new")
    assert not neighbour.is_closed
    await neighbour.close()


async def test_a_door_that_two_provisioners_make_at_once_becomes_ready_once(world):
    slug = await world.ask("a")
    provisioner, other = world.provisioner(), []

    async def make_too(_):
        other.append(await world.provision())

    provisioner.before = make_too

    assert (await world.provision(provisioner), other) == (0, [1])
    assert await world.state(slug) is DoorState.READY
    assert await world.lets_in(slug, "secret")


async def test_a_password_that_a_late_provisioner_wrote_over_a_newer_one_is_made_right(world):
    slug = await world.ask("a", "old")
    late = world.provisioner()

    async def be_overtaken(door):
        await world.renew(door.slug, "new")
        assert await world.provision() == 1

    late.before = be_overtaken
    assert await world.provision(late) == 0
    assert not await world.lets_in(slug, "new")
    sent = (await world.door(slug)).delivered_position

    assert (await world.look(), await world.provision()) == (1, 1)

    assert await world.lets_in(slug, "new")
    assert (await world.look(), (await world.door(slug)).delivered_position) == (0, sent)


async def test_only_the_queue_that_is_gone_is_filled_anew(world):
    whole, lost = await world.ask("a"), await world.ask("b")
    await world.provision()
    async with world.sessions.begin() as session:
        for slug in (whole, lost):
            await session.execute(
                text(
                    "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, headers,"
                    " body, subscriptions)"
                    " VALUES (:slug, 1, gen_random_uuid(), 't', now(), '{}', '', '{}')"
                ),
                {"slug": slug},
            )
        await session.execute(update(amqp_door).values(delivered_position=1))
    queue = (await world.door(lost)).queue
    await asyncio.to_thread(world.management.delete, f"queues/{PARTNER_VHOST}/{queue}")
    await asyncio.to_thread(world.management.delete_user, user_name(whole))

    assert (await world.look(), await world.provision()) == (2, 2)

    async with world.sessions() as session:
        columns = select(amqp_door.c.slug, amqp_door.c.delivered_position)
        assert set((await session.execute(columns)).all()) == {(whole, 1), (lost, 0)}
    assert await world.lets_in(whole, "secret")


async def test_a_door_that_was_made_anew_since_the_look_is_not_lost(world):
    slug = await world.ask("a")
    await world.provision()
    queue = (await world.door(slug)).queue
    await asyncio.to_thread(world.management.delete, f"queues/{PARTNER_VHOST}/{queue}")
    slow = world.provisioner()

    async def be_overtaken(_):
        assert (await world.look(), await world.provision()) == (1, 1)

    slow.after = be_overtaken

    assert await world.look(slow) == 0
    assert await world.state(slug) is DoorState.READY


@contextlib.asynccontextmanager
async def provisioning(world, management, sessions=None):
    """The provisioner at work, and what it logs; it must be at work still in the end."""
    url = world.sessions.kw["bind"].url.render_as_string(hide_password=False)
    settings = test_settings(
        "notifications",
        url,
        amqp_partners_url="amqp://notifications@127.0.0.1:1/partners",
        relay_poll_seconds=0.01,
    )
    with capture_logs() as logs:
        job = jobs.provision(settings, sessions or world.sessions, management)
        work = asyncio.create_task(Runner(url, [job]).run())
        yield logs
        assert not work.done(), work.exception()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def test_a_provisioner_outlives_answers_that_are_no_http_and_says_so(world):
    asked = []

    async def answer(reader, writer):
        asked.append(await reader.readline())
        writer.write(b"no such thing as HTTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        management = Management(f"http://127.0.0.1:{port}", "admin", "secret")
        async with provisioning(world, management) as logs:
            await eventually(lambda: len(asked) > 2)

    assert {(log["event"], log["error"]) for log in logs} == {
        ("background work waits", "ManagementAway")
    }


async def test_a_provisioner_whose_database_keeps_it_waiting_says_so(world):
    url = world.sessions.kw["bind"].url
    async with world.sessions.begin() as session:
        await session.execute(text(f"ALTER DATABASE \"{url.database}\" SET lock_timeout = '10ms'"))
    engine = make_engine(url.render_as_string(hide_password=False))
    async with world.sessions.begin() as session:
        await session.execute(text("LOCK TABLE amqp_door"))
        async with provisioning(world, world.management, make_sessions(engine)) as logs:
            await eventually(lambda: logs)
    await engine.dispose()

    assert logs[0]["event"] == "background work waits"


async def test_a_provisioner_says_what_it_did_not_expect_and_goes_on(world, monkeypatch):
    asked = []

    async def fail(*_):
        asked.append(1)
        raise ValueError("no JSON")

    monkeypatch.setattr("notifications.partners.jobs.usecases.provision_doors", fail)
    async with provisioning(world, world.management) as logs:
        await eventually(lambda: len(asked) > 1)

    assert {(log["event"], log["log_level"]) for log in logs} == {
        ("background work failed", "error")
    }
