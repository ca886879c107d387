"""Gaps of a partner queue: replayed to the queue, or closed by reading the feed."""

from __future__ import annotations

import uuid

import pytest

from devkit.pytest_plugin import eventually
from notifications.partners.domain.partner_queue import PartnerQueue, PartnerQueueState, queue_name
from notifications.partners.usecases import gaps
from notifications.partners.usecases.delivery_records import record_page_read

from ..builders import a_call, opened
from .partners import NOW, fed, nothing_dropped_waits, partner, subscribed

pytestmark = pytest.mark.servers


async def test_a_gap_is_sent_again_under_the_same_ids_and_closed(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.collecting():
        await eventually(lambda: served.times_of_gaps())
        await eventually(lambda: has_gap(served, 1, 2))
        kept = await served.read(4)
        replay = await served.request_replay(1, 2)
        await served.deliver()
        again = await served.read(2)

    entries = await served.entries()
    assert [int(m.headers["cloudEvents_sequence"]) for m in kept] == [3, 4, 5, 6]
    assert [m.message_id for m in again] == [str(e.event_id) for e in entries[:2]]
    assert {m.headers["cloudEvents_replay"] for m in again} == {str(replay.replay_id)}
    assert await served.gaps() == []
    assert [entry.gap.closed_by for entry in entries[:2]] == ["replay", "replay"]
    assert [entry.channels[0].times for entry in entries] == [2, 2, 1, 1, 1, 1]


async def has_gap(served, first, last):
    return [(f, t) for f, t, _ in await served.gaps()] == [(first, last)]


async def test_a_copy_that_is_dropped_again_opens_the_gap_again(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.collecting():
        await eventually(lambda: has_gap(served, 1, 2))
        await served.request_replay(1, 6)
        await served.deliver()
        # The queue holds four: the older messages were dropped, then two of the six copies.
        await eventually(lambda: were_dropped(served, 6))
        await eventually(lambda: nothing_dropped_waits(served))

    assert await served.gaps() == [(1, 2, "maxlen")]
    assert await served.times_of_gaps() == [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1)]


async def were_dropped(served, count):
    return len(await served.times_of_gaps()) == count and (1, 2) in await served.times_of_gaps()


async def test_what_a_partner_rejects_is_a_gap_with_that_reason(served):
    await fed(served.sessions, opened(a_call()))
    await served.deliver()
    async with served.collecting():
        await served.read(1, reject=True)
        await eventually(lambda: served.gaps())

    assert await served.gaps() == [(1, 1, "rejected")]


async def test_reading_the_feed_closes_a_gap(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.collecting():
        await eventually(lambda: has_gap(served, 1, 2))

    async with served.sessions.begin() as session:
        await record_page_read(session, served.partner_queue.slug, 1, 6)

    assert await served.gaps() == []
    assert await served.gaps(only_open=False) == [(1, 2, "maxlen")]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"first": 3}, "first", "not-sent-yet"),
        ({"first": 1, "last": 3}, "last", "not-sent-yet"),
        ({"first": 2, "last": 1}, "last", "last-before-first"),
        ({"first": 5, "last": 1}, "last", "last-before-first"),
        ({"first": 0}, "first", "invalid-request"),
        ({"first": 2**63}, "first", "invalid-request"),
        ({}, "first", "invalid-request"),
    ],
)
async def test_a_wrong_replay_request_is_refused(api, tokens, body, field, code):
    await subscribed(api, tokens)
    await fed(api.sessions, opened(a_call()), opened(a_call()))
    async with api.sessions.begin() as session:
        session.add(a_ready_partner_queue("indh", delivered=2))

    answer = await api.http.post("/partner-queue/replay", json=body, headers=partner(tokens))

    said = answer.json()
    assert (answer.status_code, said["code"]) == (422, code), answer.text
    assert said["errors"][0]["field"] == field
    assert code != "not-sent-yet" or "the last is 2" in said["detail"]


def a_ready_partner_queue(slug, delivered):
    return PartnerQueue(
        slug=slug,
        queue=queue_name(slug),
        username=f"p-{slug}",
        password_hash="x",
        state=PartnerQueueState.READY,
        delivered_position=delivered,
        requested_by=uuid.uuid4(),
        requested_at=NOW,
    )


async def test_a_second_replay_is_refused_while_the_first_is_under_way(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, opened(a_call()), opened(a_call()))
    async with api.sessions.begin() as session:
        session.add(a_ready_partner_queue("indh", delivered=2))

    first, second = [
        await api.http.post("/partner-queue/replay", json={"first": 1}, headers=partner(tokens))
        for _ in range(2)
    ]

    assert (first.status_code, first.json()["first"], first.json()["last"]) == (202, 1, 2)
    assert (second.status_code, second.json()["code"]) == (409, "being-sent-again")


async def test_a_replay_without_a_queue_is_refused(api, tokens):
    answer = await api.http.post(
        "/partner-queue/replay", json={"first": 1}, headers=partner(tokens)
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "no-queue-yet")


async def test_the_partner_queue_and_the_feed_report_what_was_dropped(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, opened(a_call()), opened(a_call()), opened(a_call()))
    ready_queue = a_ready_partner_queue("indh", delivered=3)
    async with api.sessions.begin() as session:
        session.add(ready_queue)
        await session.flush()
        drops = [gaps.Drop(ready_queue.queue, n, "expired", 0) for n in (1, 2, 2)]
        await gaps.store_gaps(session, drops)

    seen = (await api.http.get("/partner-queue", headers=partner(tokens))).json()
    page = (await api.http.get("/feed", headers=partner(tokens))).json()
    after = (await api.http.get("/partner-queue", headers=partner(tokens))).json()

    (gap,) = seen["gaps"]
    assert (seen["dropped"], gap["first_position"], gap["last_position"]) == (2, 1, 2)
    assert (gap["reason"], gap["closed_at"]) == ("expired", None)
    assert [(g["first_position"], g["closed_by"]) for g in page["gaps"]] == [(1, "feed")]
    assert (after["dropped"], after["gaps"]) == (0, [])
