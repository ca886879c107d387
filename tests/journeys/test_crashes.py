"""Killed at the worst moments: every cooperative is alerted once, every partner has every event."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from .outages import A_TRACK, FEED_PARTNERS, FOLLOW_CALL, LATER, STORE_IMPORTED, Breakage, end_of
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
    breakable: Story, breakage: Breakage, partner: Partner, service: str, place: str
) -> None:
    trap = await breakage.arm(service, place)

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await breakage.put_right()

    await breakage.settled()
    assert await breakage.alerts(call_id) == await breakage.one_each()
    assert received(await breakable.feed(partner)) == [("1", str(call_id))]


async def test_a_delivery_killed_before_it_is_marked_may_only_repeat_itself(
    breakable: Story, breakage: Breakage, partner: Partner, partner_queue: PartnerQueue
) -> None:
    trap = await breakage.arm("notifications", "feed.between-confirm-and-mark")

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await breakage.put_right()

    await breakage.settled()
    first, repeat = await breakable.listen(partner_queue, 2)
    assert (first["sequence"], first["data"]["call_id"]) == ("1", str(call_id))
    assert first == {**repeat, "redelivered": first["redelivered"]}
    assert [item["id"] for item in await breakable.feed(partner)] == [first["id"]]


async def test_a_collector_killed_before_it_acknowledges_leaves_one_gap_that_is_sent_again(
    breakable: Story, breakage: Breakage, partner: Partner, partner_queue: PartnerQueue
) -> None:
    trap = await breakage.arm("notifications", "gaps.between-commit-and-ack")
    call_id = await breakable.open_call(A_TRACK)
    (refused,) = await breakable.received(partner_queue, 1, refuse=True)
    await breakable.eventually(trap.has_sprung)
    await breakage.put_right()
    await breakage.settled()

    seen = await breakable.get("notifications", "/partner-queue", who=partner)
    await breakable.post("notifications", "/partner-queue/replay", {"first": 1}, who=partner)
    (again,) = await breakable.listen(partner_queue, 1)

    assert [(g["first_position"], g["reason"]) for g in seen["gaps"]] == [(1, "rejected")]
    assert (again["id"], again["data"]["call_id"]) == (refused.message_id, str(call_id))
    page = await breakable.get("notifications", f"/partners/{partner.slug}/ledger", who=partner)
    (entry,) = page["items"]
    assert (entry["channels"][0]["times"], entry["gap"]["closed_by"]) == (2, "replay")


async def test_an_import_whose_consumer_is_killed_reaches_the_whole_audience(
    breakable: Story, breakage: Breakage
) -> None:
    before = (await breakable.audience())["cooperatives"]
    call_id = await breakable.open_call(A_TRACK)
    await breakable.until_alerted(call_id)
    trap = await breakage.arm("notifications", f"{STORE_IMPORTED}.before-commit")

    await breakable.import_register(await breakable.more_cooperatives(LATER))
    await breakable.eventually(trap.has_sprung)
    await breakage.put_right()

    await breakage.settled()
    assert (await breakable.audience())["cooperatives"] == before + LATER
    assert await breakage.alerts(call_id) == await breakage.one_each()


async def test_a_relay_killed_with_its_claim_open_leaves_no_lock_and_loses_nothing(
    breakable: Story, breakage: Breakage
) -> None:
    async with TcpProxy.to(breakable.stack.environment("funding")["TAAWON_AMQP_URL"]) as line:
        await breakage.restart("funding", TAAWON_AMQP_URL=line.url)
        first = await breakable.open_call(A_TRACK)
        await breakable.until_alerted(first)
        line.drop_replies()
        second = await breakable.open_call(A_TRACK)
        await breakable.eventually(lambda: line.lost_bytes)
        assert await breakage.relays_under_way("funding") != []
        assert await breakage.unsent("funding") == 1

        await breakage.kill("funding")

        await breakable.eventually(lambda: nobody_relays(breakage))
        assert await breakage.unsent("funding") == 1
    await breakage.put_right()
    await breakage.settled()
    assert await breakage.alerts(second) == await breakage.one_each()


async def test_a_process_asked_to_end_finishes_the_fan_out_that_it_has_begun(
    breakable: Story, breakage: Breakage
) -> None:
    pid = breakable.stack.process("notifications").pid
    assert pid is not None
    async with breakage.fanouts_blocked():
        call_id = await breakable.open_call(A_TRACK)
        await breakable.eventually(breakage.fanouts_under_way)
        os.kill(pid, signal.SIGTERM)
        await breakable.eventually(lambda: is_no_longer_reading(breakage))
        assert end_of(pid) is None

    await breakable.eventually(lambda: end_of(pid) is not None)

    assert end_of(pid) in (0, -signal.SIGTERM)
    assert await breakage.alerts(call_id) == await breakage.one_each()
    await breakage.put_right()
    await breakage.settled()
    assert await breakage.counted("repeated") == 0


def received(feed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The numbers of a feed's events, and the calls that they are about."""
    return [(item["sequence"], item["data"]["call_id"]) for item in feed]


async def nobody_relays(breakage: Breakage) -> bool:
    return await breakage.relays_under_way("funding") == []


async def is_no_longer_reading(breakage: Breakage) -> bool:
    """The HTTP API of notifications is closed, so its end has begun."""
    return not await breakage.is_ready(breakage.stack.url("notifications"))
