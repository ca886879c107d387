"""What notifications tells a scrape, of fan-outs, the audience, holds and partner doors."""

from __future__ import annotations

import asyncio
import socket
import uuid
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from devkit.pytest_plugin import test_settings
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.partners import jobs

from .builders import a_call, a_record, a_track, cancelled, imported, opened


async def hear(door: Any, handler: Any, *events: Any) -> None:
    for event in events:
        async with door.sessions.begin() as session:
            await handler(event, session)


async def registered(door: Any, *records: Any) -> None:
    batch = imported(*records)
    await hear(door, audience_handlers.keep_imported_cooperatives, batch)


async def run(door: Any, *statements: str) -> None:
    async with door.sessions.begin() as session:
        for statement in statements:
            await session.execute(text(statement))


async def measured(door: Any) -> dict[str, float]:
    door.app.state.scrape = None  # what another test was told is of its own rows
    answer = await door.http.get("/metrics")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[" ".join((sample.name, *sample.labels.values()))] = sample.value
    assert {v for k, v in found.items() if k.startswith("taawon_measured")} == {1.0}
    return found


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_fan_out_is_timed_and_its_alerts_are_counted_by_verdict(door):
    def alerts() -> list[float]:
        verdicts = ("eligible", "unknown", "corrected")
        return [counted("taawon_alerts_total", kind="call", verdict=v) for v in verdicts]

    await registered(
        door, a_record(sector="ARGAN"), a_record(sector=None), a_record(sector="OLIVE")
    )
    call = a_call(a_track(sectors=["ARGAN"]))
    before, times = alerts(), counted("taawon_fanout_seconds_count", kind="call")

    await hear(door, handlers.follow_call, opened(call))
    await hear(door, handlers.follow_call, cancelled(call))

    assert [now - then for now, then in zip(alerts(), before, strict=True)] == [1, 1, 2]
    assert counted("taawon_fanout_seconds_count", kind="call") == times + 2
    assert counted("taawon_fanouts_running") == 0


async def test_a_fan_out_that_is_rolled_back_told_nobody(door):
    await registered(door, a_record())
    before = counted("taawon_alerts_total", kind="call", verdict="eligible")

    async with door.sessions() as session:
        await handlers.follow_call(opened(a_call()), session)
        await session.rollback()

    assert counted("taawon_alerts_total", kind="call", verdict="eligible") == before
    assert counted("taawon_fanouts_running") == 0


async def test_the_audience_tells_how_much_it_knows_and_how_late(door):
    heard = counted("taawon_audience_delay_seconds_count")

    await registered(door, a_record(version=3), a_record(version=4))

    found = await measured(door)
    assert found["taawon_audience_cooperatives"] == 2
    assert found["taawon_audience_versions"] == 7
    assert found["taawon_late_waiting_cooperatives"] == 2
    assert counted("taawon_audience_delay_seconds_count") == heard + 1


async def test_an_open_call_that_nobody_holds_back_and_nobody_heard_of_is_seen(door):
    row = (
        "INSERT INTO subject (subject_id, service, kind, version, state, content, reference_on,"
        " closes_at)"
        " VALUES ('{}', 'funding', 'call', 1, '{}', '{{}}', '2026-01-01', {})"
    )
    held = uuid.uuid4()
    await run(
        door,
        row.format(uuid.uuid4(), "open", "now() + interval '1 day'"),
        row.format(uuid.uuid4(), "open", "now() - interval '1 day'"),
        row.format(uuid.uuid4(), "cancelled", "NULL"),
        row.format(held, "open", "NULL"),
        "INSERT INTO fanout_approval (subject_id, state, reason, decided_by)"
        f" VALUES ('{held}', 'held', 'a wrong cap', '{uuid.uuid4()}')",
    )

    found = await measured(door)

    assert found["taawon_subjects_untold"] == 1
    assert (found["taawon_fanout_approvals held"], found["taawon_fanout_approvals stopped"]) == (
        1,
        0,
    )


async def test_feeds_that_wait_are_measured_by_kind_of_door_and_never_by_partner(door):
    doors = (("indh", 3, 1), ("crdh", 5, 5), ("ocp", 9, 0))
    for slug, last, delivered in doors:
        await run(
            door,
            f"INSERT INTO partner (slug, last_position) VALUES ('{slug}', {last})",
            "INSERT INTO amqp_door (slug, queue, username, password_hash, state,"
            f" delivered_position) VALUES ('{slug}', 'q-{slug}', 'u', 'x', 'ready', {delivered})",
        )
    await run(
        door,
        "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, recorded_at,"
        " headers, body, subscriptions) VALUES ('indh', 2, gen_random_uuid(), 't', now(),"
        " now() - interval '10 minutes', '{}', '', '{}')",
        "UPDATE amqp_door SET state = 'requested', requested_at = now() - interval '3 minutes'"
        " WHERE slug = 'ocp'",
    )

    found = await measured(door)

    assert found["taawon_feed_doors_behind amqp"] == 1
    assert found["taawon_feed_waiting_entries amqp"] == 2
    assert found["taawon_feed_most_waiting_entries amqp"] == 2
    assert 590 < found["taawon_feed_oldest_age_seconds amqp"] < 3600
    assert (found["taawon_doors ready"], found["taawon_doors requested"]) == (2, 1)
    assert 170 < found["taawon_doors_oldest_request_age_seconds"] < 3600
    assert "indh" not in " ".join(found)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_the_provisioner_tells_its_metrics_where_a_port_is_set_and_nowhere_else():
    port = free_port()
    settings = test_settings("notifications", "postgresql+asyncpg://x@h/d", metrics_port=port)
    url = f"http://127.0.0.1:{port}/metrics"

    with jobs.measured_at(settings):
        answer = await asyncio.to_thread(httpx.get, url, trust_env=False)
    silent = test_settings("notifications", "postgresql+asyncpg://x@h/d")
    with jobs.measured_at(silent), pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, url, trust_env=False)

    assert "taawon_doors_made_total" in answer.text
