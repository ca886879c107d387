"""Servers go away and come back: nothing is given up, nothing is lost, nobody is alerted twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from devkit.broker import Server
from shared.business_days import business_day
from shared.contracts.base import now
from shared.contracts.funding import CallOpened, CallSnapshot

from .outages import A_TRACK, DELAYS, FEED_PARTNERS, FOLLOW_CALL, Breaker
from .request_bodies import a_call
from .stories import SHORT_DELAYS, Story
from .tcp_proxy import TcpProxy

OUTAGE_SECONDS = 2 * sum(DELAYS)
SEVERAL_LOOKS = 5 * float(SHORT_DELAYS["TAAWON_RELAY_POLL_SECONDS"])


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_database_outage_longer_than_the_retry_schedule_spends_no_attempt(
    breakable: Story, breaker: Breaker, how: str
) -> None:
    partner = await breakable.register_partner()
    await breakable.subscribe(partner)
    retried = await breaker.counted("retried", "dead")
    async with breaker.fanouts_blocked():
        interrupted = await breakable.open_call(A_TRACK)
        await breakable.eventually(breaker.fanouts_under_way)
        await asyncio.to_thread(way_to_end(breaker.postgres, how))
    is_outlasted = has_passed(OUTAGE_SECONDS)
    arrived = await publish_call(breakable)
    await breakable.eventually(lambda: is_held(breaker, FOLLOW_CALL))
    await breakable.eventually(lambda: is_held(breaker, FEED_PARTNERS))
    await breakable.eventually(is_outlasted)
    assert breakable.log_lines("notifications", event="consumer paused", queue=FOLLOW_CALL)
    assert not await breaker.is_ready(breakable.stack.url("notifications"))

    await asyncio.to_thread(breaker.postgres.start)

    await breakable.until_alerted(interrupted)
    await breakable.until_alerted(arrived)
    await breaker.settled()
    assert await breaker.is_ready(breakable.stack.url("notifications"))
    assert await breaker.alerts(interrupted) == await breaker.one_each()
    assert await breaker.alerts(arrived) == await breaker.one_each()
    assert await breaker.counted("retried", "dead") == retried
    feed = {item["data"]["call_id"] for item in await breakable.fed(partner, 2)}
    assert feed == {str(interrupted), str(arrived)}


async def test_requests_during_a_database_outage_are_refused_whole(
    breakable: Story, breaker: Breaker
) -> None:
    call_id = await breakable.draft_call(a_call(A_TRACK))
    drafts = await number_of_calls(breakable)
    await asyncio.to_thread(breaker.postgres.stop)

    answers = [
        await breakable.ask("funding", "POST", "/calls", json=a_call(A_TRACK)),
        await breakable.ask("funding", "POST", f"/calls/{call_id}/open"),
        await breakable.ask("notifications", "GET", "/audience"),
        await breakable.ask("registry", "GET", "/cooperatives/totals"),
    ]

    assert [answer.status_code for answer in answers] == [503] * 4
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert {answer.json()["code"] for answer in answers} == {"away-for-a-moment"}
    await breaker.put_right()
    assert await number_of_calls(breakable) == drafts
    assert (await breakable.get("funding", f"/calls/{call_id}"))["state"] == "draft"


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restarted_broker_gets_every_event_again_and_nobody_is_alerted_twice(
    breakable: Story, breaker: Breaker, how: str
) -> None:
    repeated = await breaker.counted("repeated")
    async with TcpProxy.to(breakable.stack.environment("funding")["TAAWON_AMQP_URL"]) as proxy:
        await breaker.restart("funding", TAAWON_AMQP_URL=proxy.url)
        await breakable.until_alerted(await breakable.open_call(A_TRACK))
        async with breaker.fanouts_blocked():
            proxy.drop_replies()
            call_id = await breakable.open_call(A_TRACK)
            await breakable.eventually(lambda: is_held(breaker, FOLLOW_CALL))
            await breakable.eventually(lambda: proxy.lost_bytes)
            assert await breaker.unsent("funding") == 1
            assert len(await breaker.relays_under_way("funding")) == 1

            await asyncio.to_thread(way_to_end(breaker.broker, how))

    assert await breaker.unsent("funding") == 1
    await breaker.put_right()
    await breaker.settled()
    assert await breaker.counted("repeated") > repeated
    assert await breaker.alerts(call_id) == await breaker.one_each()


async def test_of_two_funding_processes_one_relays_and_the_other_takes_over(
    breakable: Story, breaker: Breaker
) -> None:
    async with TcpProxy.to(breakable.stack.environment("funding")["TAAWON_AMQP_URL"]) as proxy:
        settings = {"TAAWON_AMQP_URL": proxy.url, "TAAWON_PUBLISH_TIMEOUT": "120"}
        await breaker.restart("funding", **settings)
        await breakable.until_alerted(await breakable.open_call(A_TRACK))
        proxy.drop_replies()
        first = await breakable.open_call(A_TRACK)
        await breakable.eventually(lambda: proxy.lost_bytes)
        (relay,) = await breaker.relays_under_way("funding")
        replica = await breaker.add_replica("funding")
        second = await breakable.open_call(A_TRACK)
        await breakable.eventually(has_passed(SEVERAL_LOOKS))
        assert await breaker.relays_under_way("funding") == [relay]
        assert await breaker.unsent("funding") == 2

        await breaker.kill("funding")

    await breakable.until_alerted(second)
    await breaker.settled()
    assert replica.process.is_running()
    assert await breaker.alerts(first) == await breaker.one_each()
    assert await breaker.alerts(second) == await breaker.one_each()


async def test_of_two_notifications_processes_the_one_left_finishes_for_both(
    breakable: Story, breaker: Breaker
) -> None:
    replica = await breaker.add_replica("notifications")
    async with breaker.fanouts_blocked():
        calls = [await breakable.open_call(A_TRACK), await breakable.open_call(A_TRACK)]
        await breakable.eventually(lambda: is_held(breaker, FOLLOW_CALL, by=2))

        await breaker.kill("notifications")
        await breakable.eventually(lambda: is_held(breaker, FOLLOW_CALL, by=1))

    await breaker.settled()
    assert replica.process.is_running()
    for call_id in calls:
        assert await breaker.alerts(call_id) == await breaker.one_each()


def way_to_end(server: Server, how: str) -> Callable[[], None]:
    return server.stop if how == "stopped" else server.kill


def has_passed(seconds: float) -> Callable[[], bool]:
    """For what must not happen, or must last: whether so much time is over from now on."""
    start = time.monotonic()
    return lambda: time.monotonic() - start > seconds


async def is_held(breaker: Breaker, queue: str, *, by: int | None = None) -> bool:
    """Whether deliveries of a queue are unacknowledged; one each for so many processes."""
    held = (await breaker.backlog(queue)).held
    return held > 0 if by is None else held == by


async def number_of_calls(breakable: Story) -> int:
    async with breakable.database("funding") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM calls"))


async def publish_call(breakable: Story) -> UUID:
    """What the relay of funding sends when a call has opened, without a database."""
    terms = a_call(A_TRACK) | {"deadline": None}
    call = CallSnapshot.model_validate(
        {
            **terms,
            "call_id": uuid4(),
            "version": 2,
            "state": "open",
            "opened_at": now(),
            "reference_on": business_day(now()),
        }
    )
    await breakable.publish_event(CallOpened(aggregate_version=2, call_id=call.call_id, call=call))
    return call.call_id
