"""Killed at the worst moments: every cooperative is told once, every partner has every event."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from .breaking import A_TRACK, FEED_PARTNERS, FOLLOW_CALL, KEEP_IMPORTED, LATER, Sabotage, end_of
from .line import Line
from .stories import AmqpDoor, Partner, Story


@pytest.fixture
async def partner(breakable: Story) -> Partner:
    """An institution that wants to hear of everything."""
    partner = await breakable.register_partner()
    await breakable.subscribe(partner)
    return partner


@pytest.fixture
async def door(breakable: Story, partner: Partner) -> AmqpDoor:
    """The queue of that institution."""
    return await breakable.open_amqp_door(partner)


@pytest.mark.parametrize(
    ("service", "place"),
    [
        ("notifications", f"{FOLLOW_CALL}.before-commit"),
        ("notifications", f"{FOLLOW_CALL}.between-commit-and-ack"),
        ("notifications", f"{FEED_PARTNERS}.between-commit-and-ack"),
        ("funding", "relay.between-confirm-and-mark"),
    ],
)
async def test_a_process_killed_at_this_place_tells_everybody_once(
    breakable: Story, sabotage: Sabotage, partner: Partner, service: str, place: str
) -> None:
    trap = await sabotage.arm(service, place)

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await sabotage.put_right()

    await sabotage.settled()
    assert await sabotage.alerts(call_id) == await sabotage.one_each()
    assert heard(await breakable.feed(partner)) == [("1", str(call_id))]


async def test_a_delivery_killed_before_it_is_marked_may_only_repeat_itself(
    breakable: Story, sabotage: Sabotage, partner: Partner, door: AmqpDoor
) -> None:
    trap = await sabotage.arm("notifications", "feed.between-confirm-and-mark")

    call_id = await breakable.open_call(A_TRACK)
    await breakable.eventually(trap.has_sprung)
    await sabotage.put_right()

    await sabotage.settled()
    first, repeat = await breakable.listen(door, 2)
    assert (first["sequence"], first["data"]["call_id"]) == ("1", str(call_id))
    assert first == {**repeat, "redelivered": first["redelivered"]}
    assert [item["id"] for item in await breakable.feed(partner)] == [first["id"]]


async def test_a_drain_killed_before_it_acknowledges_leaves_one_gap_that_is_sent_again(
    breakable: Story, sabotage: Sabotage, partner: Partner, door: AmqpDoor
) -> None:
    trap = await sabotage.arm("notifications", "gaps.between-commit-and-ack")
    call_id = await breakable.open_call(A_TRACK)
    (refused,) = await breakable.heard(door, 1, refuse=True)
    await breakable.eventually(trap.has_sprung)
    await sabotage.put_right()
    await sabotage.settled()

    seen = await breakable.get("notifications", "/doors/amqp", who=partner)
    await breakable.post("notifications", "/doors/amqp/replay", {"first": 1}, who=partner)
    (again,) = await breakable.listen(door, 1)

    assert [(g["first_position"], g["reason"]) for g in seen["gaps"]] == [(1, "rejected")]
    assert (again["id"], again["data"]["call_id"]) == (refused.message_id, str(call_id))
    page = await breakable.get("notifications", f"/partners/{partner.slug}/ledger", who=partner)
    (entry,) = page["items"]
    assert (entry["doors"][0]["times"], entry["gap"]["closed_by"]) == (2, "replay")


async def test_an_import_whose_listener_is_killed_reaches_the_whole_audience(
    breakable: Story, sabotage: Sabotage
) -> None:
    before = (await breakable.audience())["cooperatives"]
    call_id = await breakable.open_call(A_TRACK)
    await breakable.told(call_id)
    trap = await sabotage.arm("notifications", f"{KEEP_IMPORTED}.before-commit")

    await breakable.import_register(await breakable.more_cooperatives(LATER))
    await breakable.eventually(trap.has_sprung)
    await sabotage.put_right()

    await sabotage.settled()
    assert (await breakable.audience())["cooperatives"] == before + LATER
    assert await sabotage.alerts(call_id) == await sabotage.one_each()


async def test_a_relay_killed_with_its_claim_open_leaves_no_lock_and_loses_nothing(
    breakable: Story, sabotage: Sabotage
) -> None:
    async with Line.to(breakable.stack.environment("funding")["TAAWON_AMQP_URL"]) as line:
        await sabotage.restart("funding", TAAWON_AMQP_URL=line.url)
        first = await breakable.open_call(A_TRACK)
        await breakable.told(first)
        line.go_deaf()
        second = await breakable.open_call(A_TRACK)
        await breakable.eventually(lambda: line.lost_bytes)
        assert await sabotage.relays_under_way("funding") != []
        assert await sabotage.unsent("funding") == 1

        await sabotage.kill("funding")

        await breakable.eventually(lambda: nobody_relays(sabotage))
        assert await sabotage.unsent("funding") == 1
    await sabotage.put_right()
    await sabotage.settled()
    assert await sabotage.alerts(second) == await sabotage.one_each()


async def test_a_process_asked_to_end_finishes_the_fan_out_that_it_has_begun(
    breakable: Story, sabotage: Sabotage
) -> None:
    pid = breakable.stack.process("notifications").pid
    assert pid is not None
    async with sabotage.fanouts_held_up():
        call_id = await breakable.open_call(A_TRACK)
        await breakable.eventually(sabotage.fanouts_under_way)
        os.kill(pid, signal.SIGTERM)
        await breakable.eventually(lambda: no_longer_listens(sabotage))
        assert end_of(pid) is None

    await breakable.eventually(lambda: end_of(pid) is not None)

    assert end_of(pid) in (0, -signal.SIGTERM)
    assert await sabotage.alerts(call_id) == await sabotage.one_each()
    await sabotage.put_right()
    await sabotage.settled()
    assert await sabotage.counted("repeated") == 0


def heard(feed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The numbers of a feed's events, and the calls that they are about."""
    return [(item["sequence"], item["data"]["call_id"]) for item in feed]


async def nobody_relays(sabotage: Sabotage) -> bool:
    return await sabotage.relays_under_way("funding") == []


async def no_longer_listens(sabotage: Sabotage) -> bool:
    """The HTTP door of notifications is closed, so its end has begun."""
    return not await sabotage.is_ready(sabotage.stack.url("notifications"))
