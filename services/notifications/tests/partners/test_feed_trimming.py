"""Feeds are trimmed by age: the queue goes on, and its gaps are kept for a while."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from notifications.partners.usecases import gaps, partner_queue, partners

from ..builders import a_call, opened
from .partners import fed

pytestmark = pytest.mark.servers


async def test_a_queue_goes_on_after_trimmed_entries_and_shows_them_as_a_gap(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await age_and_trim(served)
    await fed(served.sessions, opened(a_call()))

    await served.deliver()

    (entry,) = await served.entries()
    (message,) = await served.read(1)
    assert (entry.position, message.message_id) == (3, str(entry.event_id))
    assert await served.gaps() == [(1, 2, "trimmed")]
    assert await is_up_to_date(served)


async def test_a_queue_whose_waiting_entries_are_all_trimmed_waits_for_new_ones(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await age_and_trim(served)

    await served.deliver()

    assert await served.gaps() == [(1, 2, "trimmed")]
    assert await is_up_to_date(served)


async def test_a_new_partner_queue_begins_with_the_oldest_entry_and_has_no_gap(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await age_and_trim(served)
    async with served.sessions.begin() as session:
        await session.execute(text("DELETE FROM partner_queue"))
        await partner_queue.request_partner_queue(session, served.caller)
        await session.execute(text("UPDATE partner_queue SET state = 'ready'"))

    await served.deliver()

    assert await served.gaps() == []
    assert await is_up_to_date(served)


async def test_deliveries_and_replays_go_with_their_entries_and_gaps_a_week_later(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await served.deliver()
    async with served.sessions.begin() as session:
        drops = [
            gaps.Drop(served.partner_queue.queue, position, "maxlen", 9) for position in (1, 2)
        ]
        await gaps.store_gaps(session, drops)
        await session.execute(
            text(
                "INSERT INTO feed_replay"
                " (slug, first_position, last_position, next_position, done_at)"
                " VALUES (:slug, 1, 1, 2, now()), (:slug, 1, 1, 1, NULL), (:slug, 1, 2, 2, now())"
            ),
            {"slug": served.partner_queue.slug},
        )

    await age_and_trim(served, upto=1)

    assert await served.gaps() == [(1, 2, "maxlen")]
    assert await last_positions(served, "feed_delivery") == [2]
    assert await last_positions(served, "feed_replay") == [1, 2]
    async with served.sessions.begin() as session:
        await session.execute(text("UPDATE feed_gap SET noticed_at = now() - interval '8 days'"))
    await age_and_trim(served, upto=1)
    assert await served.gaps() == [(2, 2, "maxlen")]


async def test_the_gaps_of_an_emptied_feed_are_deleted_too(served):
    await fed(served.sessions, opened(a_call()))
    async with served.sessions.begin() as session:
        await gaps.store_gaps(session, [gaps.Drop(served.partner_queue.queue, 1, "maxlen", 0)])
        await session.execute(text("UPDATE feed_gap SET noticed_at = now() - interval '8 days'"))

    await age_and_trim(served)

    assert await served.gaps() == []


async def last_positions(served, table):
    async with served.sessions() as session:
        found = await session.scalars(
            text(f"SELECT last_position FROM {table} ORDER BY last_position")
        )
        return list(found)


async def age_and_trim(served, upto=1000):
    """Make the entries up to a position old, and trim the feed."""
    async with served.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE feed_entry SET recorded_at = now() - interval '500 days'"
                " WHERE position <= :upto"
            ),
            {"upto": upto},
        )
        await partners.trim_feeds(session, days=400)


async def is_up_to_date(served):
    async with served.sessions() as session:
        return await session.scalar(
            text(
                "SELECT delivered_position = last_position FROM partner_queue JOIN partner USING"
                " (slug)"
            )
        )
