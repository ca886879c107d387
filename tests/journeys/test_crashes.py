"""Killed at the worst moments: every cooperative is alerted once, every partner has every event."""

from __future__ import annotations

import os
import signal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from devkit.forks import exit_code_of

from .outages import A_TRACK, FEED_PARTNERS, FOLLOW_CALL, LATER, STORE_IMPORTED, Breaker
from .request_bodies import a_call
from .stories import Partner, PartnerQueue, Story
from .tcp_proxy import TcpProxy


@pytest.fixture
async def partner(breakable: Story) -> Partner:
    """An institution that subscribes to everything."""
    partner = await breakable.register_partner()
    await breakable.subscribe(partner)
    return partner


@pytest.fixture
async def partner_queue(breakable: Story, partner: Partner) -> PartnerQueue:
    """The queue of that institution."""
    return await breakable.request_partner_queue(partner)


@pytest.mark.parametrize(
    ("service", "place"),
    [
        ("notifications", f"{FOLLOW_CALL}.before-commit"),
        ("notifications", f"{FOLLOW_CALL}.between-commit-and-ack"),
        ("notifications", f"{FEED_PARTNERS}.between-commit-and-ack"),
        ("funding", "relay.between-confirm-and-mark"),
    ],
)
async def test_a_process_killed_at_this_place_alerts_everybody_once(
    breakable: Story, breaker: Breaker, partner: Partner, service: str, place: str
) -> None:
    trap = await breaker.arm(service, place)

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()

    await breaker.settled()
    assert await breaker.alerts(call_id) == await breaker.one_each()
    assert received(await breakable.feed(partner)) == [("1", str(call_id))]


async def test_a_request_killed_before_its_answer_gets_it_when_it_is_sent_again(
    breakable: Story, breaker: Breaker
) -> None:
    trap = await breaker.arm("funding", "create.between-commit-and-answer")
    body, headers = a_call(A_TRACK), {"Idempotency-Key": str(uuid4())}
    drafts = await drafts_of(breakable)

    with pytest.raises(httpx.TransportError):
        await breakable.ask("funding", "POST", "/calls", json=body, headers=headers)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()
    again = await breakable.ask("funding", "POST", "/calls", json=body, headers=headers)

    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert await drafts_of(breakable) == drafts + 1
    call = await breakable.get("funding", again.headers["location"])
    assert call == again.json()


async def drafts_of(story: Story) -> int:
    async with story.database("funding") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM calls WHERE state = 'draft'"))


async def test_a_delivery_killed_before_it_is_marked_may_only_repeat_itself(
    breakable: Story, breaker: Breaker, partner: Partner, partner_queue: PartnerQueue
) -> None:
    trap = await breaker.arm("notifications", "feed.between-confirm-and-mark")

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()

    await breaker.settled()
    first, repeat = await breakable.listen(partner_queue, 2)
    assert (first["sequence"], first["data"]["call_id"]) == ("1", str(call_id))
    assert first == {**repeat, "redelivered": first["redelivered"]}
    assert [item["id"] for item in await breakable.feed(partner)] == [first["id"]]


async def test_a_collector_killed_before_it_acknowledges_leaves_one_gap_that_is_sent_again(
    breakable: Story, breaker: Breaker, partner: Partner, partner_queue: PartnerQueue
) -> None:
    trap = await breaker.arm("notifications", "gaps.between-commit-and-ack")
    call_id = await breakable.open_call(A_TRACK)
    (refused,) = await breakable.received(partner_queue, 1, refuse=True)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()
    await breaker.settled()

    seen = await breakable.get("notifications", "/partner-queue", who=partner)
    await breakable.post("notifications", "/partner-queue/replay", {"first": 1}, who=partner)
    (again,) = await breakable.listen(partner_queue, 1)

    assert [(g["first_position"], g["reason"]) for g in seen["gaps"]] == [(1, "rejected")]
    assert (again["id"], again["data"]["call_id"]) == (refused.message_id, str(call_id))
    page = await breakable.get("notifications", f"/partners/{partner.slug}/ledger", who=partner)
    (entry,) = page["items"]
    assert (entry["channels"][0]["times"], entry["gap"]["closed_by"]) == (2, "replay")


async def test_an_import_whose_consumer_is_killed_reaches_the_whole_audience(
    breakable: Story, breaker: Breaker
) -> None:
    before = (await breakable.audience())["cooperatives"]
    call_id = await breakable.open_call(A_TRACK)
    await breakable.until_alerted(call_id)
    trap = await breaker.arm("notifications", f"{STORE_IMPORTED}.before-commit")

    await breakable.import_register(await breakable.more_cooperatives(LATER))
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()

    await breaker.settled()
    assert (await breakable.audience())["cooperatives"] == before + LATER
    assert await breaker.alerts(call_id) == await breaker.one_each()


async def test_a_relay_killed_with_its_claim_open_leaves_no_lock_and_loses_nothing(
    breakable: Story, breaker: Breaker
) -> None:
    async with TcpProxy.to(breakable.stack.environment("funding")["TAAWON_AMQP_URL"]) as proxy:
        await breaker.restart("funding", TAAWON_AMQP_URL=proxy.url)
        first = await breakable.open_call(A_TRACK)
        await breakable.until_alerted(first)
        proxy.drop_replies()
        second = await breakable.open_call(A_TRACK)
        await breakable.eventually(lambda: proxy.lost_bytes)
        assert await breaker.relays_under_way("funding") != []
        assert await breaker.unsent("funding") == 1

        await breaker.kill("funding")

        await breakable.eventually(lambda: nobody_relays(breaker))
        assert await breaker.unsent("funding") == 1
    await breaker.put_right()
    await breaker.settled()
    assert await breaker.alerts(second) == await breaker.one_each()


async def test_a_process_asked_to_end_finishes_the_fan_out_that_it_has_begun(
    breakable: Story, breaker: Breaker
) -> None:
    pid = breakable.stack.process("notifications").pid
    assert pid is not None
    async with breaker.fanouts_blocked():
        call_id = await breakable.open_call(A_TRACK)
        await breakable.eventually(breaker.fanouts_under_way)
        os.kill(pid, signal.SIGTERM)
        await breakable.eventually(lambda: is_no_longer_reading(breaker))
        assert exit_code_of(pid) is None

    await breakable.eventually(lambda: exit_code_of(pid) is not None)

    assert exit_code_of(pid) in (0, -signal.SIGTERM)
    assert await breaker.alerts(call_id) == await breaker.one_each()
    await breaker.put_right()
    await breaker.settled()
    assert await breaker.counted("repeated") == 0


def received(feed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The numbers of a feed's events, and the calls that they are about."""
    return [(item["sequence"], item["data"]["call_id"]) for item in feed]


async def nobody_relays(breaker: Breaker) -> bool:
    return await breaker.relays_under_way("funding") == []


async def is_no_longer_reading(breaker: Breaker) -> bool:
    """The HTTP API of notifications is closed, so its end has begun."""
    return not await breaker.is_ready(breaker.stack.url("notifications"))
