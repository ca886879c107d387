"""Events are numbered into the feeds of the partners that subscribed to them."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select

from notifications.partners import handlers as partners_handlers
from notifications.partners.models import feed_entry, partner
from notifications.partners.models import subscription as subscription_table
from shared.contracts.registry import PartnerRegistered
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import a_call, an_idea, extended, opened, published

pytestmark = pytest.mark.servers


async def a_subscriber(session, slug, **wanted):
    await session.execute(partner.insert().values(slug=slug))
    await session.execute(
        subscription_table.insert().values(subscription_id=uuid.uuid4(), slug=slug, filter=wanted)
    )


async def test_each_partner_gets_what_it_subscribed_to_numbered_from_one(session):
    await a_subscriber(session, "indh", topics=["funding.call.*"])
    await a_subscriber(session, "souss", regions=["MA-01"])
    call, idea = a_call(), an_idea()

    await partners_handlers.feed_partners(opened(call), session)
    await partners_handlers.feed_partners(published(idea), session)
    await partners_handlers.feed_partners(extended(call), session)

    rows = await session.execute(
        select(feed_entry.c.slug, feed_entry.c.position, feed_entry.c.topic).order_by(
            feed_entry.c.slug, feed_entry.c.position
        )
    )
    assert [tuple(row) for row in rows] == [
        ("indh", 1, "funding.call.opened.v1"),
        ("indh", 2, "funding.call.deadline_extended.v1"),
    ]


async def test_two_subscriptions_of_a_partner_make_one_entry(session):
    await a_subscriber(session, "indh", topics=["funding.call.*"])
    await session.execute(
        subscription_table.insert().values(subscription_id=uuid.uuid4(), slug="indh", filter={})
    )
    event = opened(a_call())

    await partners_handlers.feed_partners(event, session)
    await partners_handlers.feed_partners(event, session)

    entries = await session.execute(select(feed_entry.c.position, feed_entry.c.subscriptions))
    ((position, subscriptions),) = entries.all()
    assert (position, len(subscriptions)) == (1, 2)


async def test_partners_see_public_fields_only(session):
    await a_subscriber(session, "indh")
    idea = an_idea()

    await partners_handlers.feed_partners(published(idea), session)

    body = await session.scalar(select(feed_entry.c.body))
    assert str(idea.author_id).encode() not in body
    assert str(idea.idea_id).encode() in body


async def test_the_newest_name_of_a_partner_stays(session):
    def named(version, name):
        return PartnerRegistered(
            aggregate_version=version,
            partner_id=uuid.uuid4(),
            slug="fm5",
            name={"fr": name, "ar": "مؤسسة"},
            kind="foundation",
        )

    await partners_handlers.store_partner(named(2, "Fondation"), session)
    await partners_handlers.store_partner(named(1, "Old"), session)

    name = await session.scalar(select(partner.c.name).where(partner.c.slug == "fm5"))
    assert name["fr"] == "Fondation"


async def test_twenty_writers_leave_no_hole_for_a_polling_reader(databases):
    engine = make_engine(databases.fresh("notifications"), pool_size=25)
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        await a_subscriber(session, "indh")
    events = [opened(a_call()) for _ in range(200)]

    async def write(part):
        for event in part:
            async with sessions.begin() as session:
                await partners_handlers.feed_partners(event, session)

    async def read():
        seen, after = [], 0
        while len(seen) < len(events):
            async with sessions() as session:
                rows = await session.execute(
                    select(feed_entry.c.position, feed_entry.c.event_id)
                    .where(feed_entry.c.position > after)
                    .order_by(feed_entry.c.position)
                    .limit(7)
                )
                page = rows.all()
            seen += page
            after = page[-1].position if page else after
        return seen

    seen, *_ = await asyncio.gather(read(), *(write(events[n::20]) for n in range(20)))

    assert [position for position, _ in seen] == list(range(1, 201))
    assert {event_id for _, event_id in seen} == {event.event_id for event in events}
    await engine.dispose()
