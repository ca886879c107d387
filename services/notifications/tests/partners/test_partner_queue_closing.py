"""A partner queue ends with the client that requested it, or when an operator closes it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from devkit.pytest_plugin import PATIENCE, eventually
from notifications.app import SPEC
from notifications.partners.domain.partner_queue import PartnerQueue, PartnerQueueState, user_name
from notifications.partners.models import partner_queue_table
from notifications.partners.usecases import partner_queue
from notifications.partners.usecases.partner_queue import PARTNER_VHOST
from shared.contracts.registry import TokensRevoked, partner_id_of
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import make_engine, make_sessions, moment
from shared.kernel.data.revocations import TokenRevoked
from shared.kernel.data.tables import AuditRow
from shared.kernel.messaging.topology import BrokerUser

from .partners import ServedPartner
from .test_partner_queue import PartnerQueues

pytestmark = pytest.mark.servers

SECOND = timedelta(seconds=1)
(CONSUMER,) = (
    each for each in SPEC.all_consumers if each.queue == "notifications.store_revocation"
)


class Partner(PartnerQueues):
    """One partner whose clients request its queue, with real transactions and a real broker."""

    slug = ""

    async def client(self):
        """A client that has just been issued a token."""
        async with self.sessions() as session:
            issued_at = await moment(session)
        return Principal(
            subject=uuid.uuid4(),
            roles=frozenset({Role.PARTNER}),
            partner=self.slug,
            issued_at=issued_at,
        )

    async def ask(self, client):
        async with self.sessions.begin() as session:
            return await partner_queue.request_partner_queue(session, client)

    async def revoke(self, client, **changes):
        await self.consume(await self.revocation(client, **changes))

    async def revocation(self, client, **changes):
        async with self.sessions() as session:
            not_before = await moment(session)
        about = {"subject_id": client.subject, "not_before": not_before, "partner": self.slug}
        return TokensRevoked(**(about | changes))

    async def consume(self, event):
        async with self.sessions.begin() as session:
            await CONSUMER.handler(event, session)

    async def close_by_operator(self):
        operator = Principal(subject=uuid.uuid4(), roles=frozenset({Role.OPERATOR}))
        async with self.sessions.begin() as session:
            await partner_queue.close_partner_queue(session, operator, self.slug)
        return operator

    async def end_closing(self, provisioner=None):
        return await partner_queue.end_closing_partner_queues(
            self.sessions, provisioner or self.provisioner()
        )

    async def state_now(self):
        return await self.state(self.slug)

    async def audited(self):
        """The actor and what was done, the newest first."""
        query = select(AuditRow.actor_id, AuditRow.action).order_by(AuditRow.id.desc())
        async with self.sessions() as session:
            rows = await session.execute(
                query.where(AuditRow.subject_id == partner_id_of(self.slug))
            )
            return [tuple(row) for row in rows]

    async def held(self):
        """The queues of the partner on the broker."""
        queues = await asyncio.to_thread(self.management.get, f"queues/{PARTNER_VHOST}")
        return [each["name"] for each in queues if f".{self.slug}." in each["name"]]


@pytest.fixture
async def partner(databases, rabbitmq):
    rabbitmq.add_service_user(BrokerUser("notifications"))
    engine = make_engine(databases.fresh("notifications"))
    made = Partner(make_sessions(engine), rabbitmq)
    made.slug = f"indh-{uuid.uuid4().hex[:8]}"
    await made.provisioner().prepare()
    yield made
    await engine.dispose()


@asynccontextmanager
async def connected(partner, password):
    """A connection with this password, and an event that is set once it is closed."""
    connection, closed = await partner.connect(partner.slug, password), asyncio.Event()
    connection.close_callbacks.add(lambda *_: closed.set())
    yield closed
    await connection.close()


async def waits_for_lock(partner):
    query = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with partner.sessions() as session:
        return bool(await session.scalar(query))


async def test_the_user_of_a_revoked_client_and_its_connections_end_and_the_queue_stays(partner):
    client = await partner.client()
    made = await partner.ask(client)
    await partner.provision()

    async with connected(partner, made.password) as closed:
        await partner.revoke(client)
        assert await partner.state_now() is PartnerQueueState.CLOSING
        assert await partner.end_closing() == 1
        async with asyncio.timeout(PATIENCE):
            await closed.wait()

    assert await partner.state_now() is PartnerQueueState.CLOSED
    assert not await partner.accepts(partner.slug, made.password)
    assert await partner.held() == [made.queue]
    assert (await partner.audited())[0] == (None, "partner queue closed")


async def test_a_request_that_commits_before_the_revocation_is_stored_is_closed_by_it(partner):
    client = await partner.client()
    async with partner.sessions.begin() as session:
        await partner_queue.request_partner_queue(session, client)
        storing = asyncio.create_task(partner.revoke(client))
        await eventually(lambda: waits_for_lock(partner))

    await storing
    assert await partner.state_now() is PartnerQueueState.CLOSING


async def test_a_request_that_meets_a_revocation_being_stored_is_refused(partner):
    client = await partner.client()
    async with partner.sessions.begin() as session:
        await CONSUMER.handler(await partner.revocation(client), session)
        request = asyncio.create_task(partner.ask(client))
        await eventually(lambda: waits_for_lock(partner))

    with pytest.raises(TokenRevoked):
        await request
    async with partner.sessions() as session:
        assert await session.get(PartnerQueue, partner.slug) is None


async def test_repeated_and_late_revocations_leave_what_was_requested_afterwards(partner):
    client = await partner.client()
    await partner.ask(client)
    old = await partner.revocation(client)
    await partner.consume(old)
    again = client.model_copy(update={"issued_at": old.not_before + SECOND})
    await partner.ask(again)

    await partner.consume(old)
    await partner.consume(old.model_copy(update={"not_before": old.not_before - SECOND}))

    assert await partner.state_now() is PartnerQueueState.REQUESTED


@pytest.mark.parametrize("changes", [{"partner": None}, {"subject_id": uuid.uuid4()}])
async def test_a_revocation_that_is_not_about_the_queue_leaves_it(partner, changes):
    client = await partner.client()
    await partner.ask(client)

    await partner.revoke(client, **changes)

    assert await partner.state_now() is PartnerQueueState.REQUESTED


async def test_the_queue_belongs_to_the_client_that_renewed_it_last(partner):
    first, second = await partner.client(), await partner.client()
    await partner.ask(first)
    await partner.ask(second)

    await partner.revoke(first)

    assert await partner.state_now() is PartnerQueueState.REQUESTED
    await partner.revoke(second)
    assert await partner.state_now() is PartnerQueueState.CLOSING


async def test_a_closed_queue_is_not_opened_by_itself_and_opens_for_another_client(partner):
    client = await partner.client()
    made = await partner.ask(client)
    await partner.provision()
    await partner.revoke(client)
    await partner.end_closing()

    assert (await partner.find_lost(), await partner.provision()) == (0, 0)
    assert await partner.state_now() is PartnerQueueState.CLOSED

    renewed = await partner.ask(await partner.client())
    assert await partner.provision() == 1
    assert renewed.queue == made.queue
    assert await partner.accepts(partner.slug, renewed.password)
    assert not await partner.accepts(partner.slug, made.password)


async def test_a_user_that_a_late_provisioner_made_again_is_ended_again(partner):
    client, late = await partner.client(), partner.provisioner()
    made = await partner.ask(client)

    async def be_overtaken(_):
        await partner.revoke(client)
        assert await partner.end_closing() == 1

    late.before = be_overtaken
    assert await partner.provision(late) == 0
    assert await partner.accepts(partner.slug, made.password)

    with capture_logs() as logs:
        assert await partner.find_lost() == 0
    assert [log["log_level"] for log in logs] == ["warning"]
    assert await partner.end_closing() == 1
    assert not await partner.accepts(partner.slug, made.password)


async def test_a_queue_that_is_requested_while_it_is_closed_is_made_afterwards(partner):
    client, provisioner = await partner.client(), partner.provisioner()
    await partner.ask(client)
    await partner.revoke(client)
    made = []

    async def renew(_):
        made.append(await partner.ask(await partner.client()))

    provisioner.before = renew

    assert await partner.end_closing(provisioner) == 0
    assert await partner.provision() == 1
    assert await partner.accepts(partner.slug, made[0].password)


async def test_what_a_closed_queue_held_is_sent_again_if_the_broker_lost_it(partner):
    client = await partner.client()
    made = await partner.ask(client)
    await partner.provision()
    async with partner.sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, headers,"
                " body, subscriptions)"
                " VALUES (:slug, 1, gen_random_uuid(), 't', now(), '{}', '', '{}')"
            ),
            {"slug": partner.slug},
        )
        await session.execute(update(partner_queue_table).values(delivered_position=1))
    await partner.revoke(client)
    await partner.end_closing()
    await asyncio.to_thread(partner.management.delete, f"queues/{PARTNER_VHOST}/{made.queue}")

    assert await partner.find_lost() == 0

    found = await partner.partner_queue(partner.slug)
    assert (found.state, found.delivered_position) == (PartnerQueueState.CLOSED, 0)


async def test_an_operator_closes_a_partner_queue_and_nothing_is_sent_to_it(partner):
    made = await partner.ask(await partner.client())
    await partner.provision()

    operator = await partner.close_by_operator()
    await partner.close_by_operator()
    await partner.end_closing()
    await partner.close_by_operator()

    assert await partner.state_now() is PartnerQueueState.CLOSED
    assert not await partner.accepts(partner.slug, made.password)
    assert [actor for actor, done in await partner.audited() if done == "partner queue closed"] == [
        operator.subject
    ]
    assert (
        user_name(partner.slug) not in (await partner.provisioner().broker_state()).password_hashes
    )


async def test_a_closed_partner_queue_gets_no_entry_until_it_opens_again(served: ServedPartner):
    async with served.sessions.begin() as session:
        await session.execute(
            update(partner_queue_table).values(
                state=PartnerQueueState.CLOSED, closing_at=datetime.now(UTC)
            )
        )
        await session.execute(text("UPDATE partner SET last_position = 1"))
        await session.execute(
            text(
                "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, headers,"
                " body, subscriptions)"
                " SELECT slug, 1, gen_random_uuid(), 't', now(), '{}', '{}', '{}' FROM partner"
            )
        )

    await served.deliver()

    async with served.sessions() as session:
        assert await session.scalar(select(partner_queue_table.c.delivered_position)) == 0


async def test_only_an_operator_closes_a_partner_queue_over_http(api, tokens):
    path = "/partner-queues/oasis"

    answers = [
        await api.http.delete(path, headers=headers)
        for headers in (
            tokens.headers("partner", partner="oasis"),
            tokens.headers("operator"),
        )
    ]

    assert [answer.status_code for answer in answers] == [403, 404]
    assert answers[1].json()["code"] == "no-such-partner-queue"
