"""What partner queues drop is stored as gaps, also when the collector dies in between."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from devkit.pytest_plugin import closed, eventually
from notifications.partners.gap_collector import collect_gaps
from notifications.partners.usecases import gaps
from notifications.partners.usecases.partner_queue import DROPPED, PARTNER_VHOST
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import a_call, opened
from .partners import fed, nothing_dropped_waits

pytestmark = pytest.mark.servers


async def test_what_a_full_queue_drops_is_a_gap_counted_once(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()

    async with served.collecting():
        await eventually(lambda: served.gaps())
        await eventually(lambda: is_full(served))

    assert await served.gaps() == [(1, 6, "maxlen")]
    assert [entry.gap is not None for entry in await served.entries()] == [True] * 6 + [False] * 4
    assert await served.times_of_gaps() == [(n, 1) for n in range(1, 7)]


async def is_full(served):
    return sum(last - first + 1 for first, last, _ in await served.gaps()) == 6


async def test_a_collector_killed_before_it_acknowledges_counts_nothing_twice(served, monkeypatch):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()
    died = []

    def die_once(name):
        if not died:
            died.append(name)
            raise OSError(name)

    monkeypatch.setattr("notifications.partners.gap_collector.failpoints.reach", die_once)
    async with served.collecting():
        await eventually(lambda: bool(died) and is_full(served))
        await eventually(lambda: nothing_dropped_waits(served))

    assert died == ["gaps.between-commit-and-ack"]
    assert await served.times_of_gaps() == [(n, 1) for n in range(1, 7)]


async def test_the_collector_holds_what_was_dropped_while_the_database_is_away(served, postgres):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()
    url = served.sessions.kw["bind"].url.render_as_string(hide_password=False)

    async with closed(postgres, url):
        with capture_logs() as logs:
            async with served.collecting():
                await eventually(lambda: times_held(logs))
                await eventually(
                    after(1)
                )  # twenty pauses: a redelivery each, if it returned the messages
        dropped = [await served.dropped() for _ in range(6)]

    assert times_held(logs) == 1
    # They were returned once: when the collector ended.
    assert {message.headers["x-delivery-count"] for message in dropped} == {1}


def times_held(logs):
    return sum(line["event"] == "held until the database answers" for line in logs)


async def test_the_queue_of_what_was_dropped_has_no_limit_of_deliveries(served):
    path = f"queues/{PARTNER_VHOST}/{DROPPED}"

    made = await asyncio.to_thread(served.broker.management.get, path)

    # Without an explicit limit, RabbitMQ 4 drops a message that was returned 20 times.
    assert made["arguments"]["x-delivery-limit"] == 2147483647


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-death": []},
        {"x-death": "no"},
        {"x-death": [{"queue": 1}], "cloudEvents_sequence": "1"},
        {"x-death": [{"queue": "q"}], "cloudEvents_sequence": "one"},
        {"x-death": [{"queue": "q"}], "cloudEvents_sequence": "1", "cloudEvents_replay": "x"},
    ],
)
def test_a_message_without_queue_or_position_is_no_gap(headers):
    assert gaps.Drop.read(headers) is None


def test_an_unknown_reason_is_kept_as_unknown():
    drop = gaps.Drop.read(
        {"x-death": [{"queue": "q", "reason": "new"}], "cloudEvents_sequence": "7"}
    )

    assert drop == gaps.Drop("q", 7, "unknown", 0)


async def test_an_outage_of_the_broker_is_logged_once():
    nowhere = "amqp://x:y@127.0.0.1:1/partners"
    sessions = make_sessions(make_engine("postgresql+asyncpg://"))

    with capture_logs() as logs:
        task = asyncio.create_task(collect_gaps(sessions, nowhere, pause=0))
        await eventually(lambda: logs)
        await eventually(after(0.3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert [line["event"] for line in logs] == ["dropped messages wait"]
    assert "RabbitMQ does not answer" in logs[0]["cause"]


def after(seconds):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end
