"""Metrics of notifications: fan-outs, the audience, approvals and partner queues."""

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


async def consume(api: Any, handler: Any, *events: Any) -> None:
    for event in events:
        async with api.sessions.begin() as session:
            await handler(event, session)


async def registered(api: Any, *records: Any) -> None:
    batch = imported(*records)
    await consume(api, audience_handlers.store_imported_cooperatives, batch)


async def run(api: Any, *statements: str) -> None:
    async with api.sessions.begin() as session:
        for statement in statements:
            await session.execute(text(statement))


async def measured(api: Any) -> dict[str, float]:
    api.app.state.scrape = None  # the kept result of another test is about its own rows
    answer = await api.internal("/metrics")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[" ".join((sample.name, *sample.labels.values()))] = sample.value
    assert {v for k, v in found.items() if k.startswith("taawon_measured")} == {1.0}
    return found


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_fan_out_is_timed_and_its_alerts_are_counted_by_verdict(api):
    def alerts() -> list[float]:
        verdicts = ("eligible", "unknown", "corrected")
        return [counted("taawon_alerts_total", kind="call", verdict=v) for v in verdicts]

    await registered(api, a_record(sector="ARGAN"), a_record(sector=None), a_record(sector="OLIVE"))
    call = a_call(a_track(sectors=["ARGAN"]))
    before, times = alerts(), counted("taawon_fanout_seconds_count", kind="call")

    await consume(api, handlers.follow_call, opened(call))
    await consume(api, handlers.follow_call, cancelled(call))

    assert [now - then for now, then in zip(alerts(), before, strict=True)] == [1, 1, 2]
    assert counted("taawon_fanout_seconds_count", kind="call") == times + 2
    assert counted("taawon_fanouts_running") == 0


async def test_a_fan_out_that_is_rolled_back_counts_no_alerts(api):
    await registered(api, a_record())
    before = counted("taawon_alerts_total", kind="call", verdict="eligible")

    async with api.sessions() as session:
        await handlers.follow_call(opened(a_call()), session)
        await session.rollback()

    assert counted("taawon_alerts_total", kind="call", verdict="eligible") == before
    assert counted("taawon_fanouts_running") == 0


async def test_the_size_and_the_delay_of_the_audience_are_measured(api):
    received = counted("taawon_audience_delay_seconds_count")

    await registered(api, a_record(version=3), a_record(version=4))

    found = await measured(api)
    assert found["taawon_audience_cooperatives"] == 2
    assert found["taawon_audience_versions"] == 7
    assert found["taawon_backfill_waiting_cooperatives"] == 2
    assert counted("taawon_audience_delay_seconds_count") == received + 1


async def test_open_subjects_that_were_not_fanned_out_and_are_not_held_are_counted(api):
    row = (
        "INSERT INTO subject (subject_id, service, kind, version, state, content, reference_on,"
        " closes_at)"
        " VALUES ('{}', 'funding', 'call', 1, '{}', '{{}}', '2026-01-01', {})"
    )
    held = uuid.uuid4()
    await run(
        api,
        row.format(uuid.uuid4(), "open", "now() + interval '1 day'"),
        row.format(uuid.uuid4(), "open", "now() - interval '1 day'"),
        row.format(uuid.uuid4(), "void", "NULL"),
        row.format(held, "open", "NULL"),
        "INSERT INTO fanout_approval (subject_id, version, state, reason, decided_by)"
        f" VALUES ('{held}', 1, 'held', 'a wrong cap', '{uuid.uuid4()}')",
    )

    found = await measured(api)

    assert found["taawon_subjects_without_fanout"] == 1
    assert (found["taawon_fanout_approvals held"], found["taawon_fanout_approvals stopped"]) == (
        1,
        0,
    )


async def test_waiting_entries_are_measured_by_channel_and_never_by_partner(api):
    channels = (("indh", 3, 1), ("crdh", 5, 5), ("ocp", 9, 0))
    for slug, last, delivered in channels:
        await run(
            api,
            f"INSERT INTO partner (slug, last_position) VALUES ('{slug}', {last})",
            "INSERT INTO partner_queue (slug, queue, username, password_hash, state,"
            " requested_by, delivered_position)"
            f" VALUES ('{slug}', 'q-{slug}', 'u', 'x', 'ready', '{uuid.uuid4()}', {delivered})",
        )
    await run(
        api,
        "INSERT INTO feed_entry (slug, position, event_id, topic, occurred_at, recorded_at,"
        " headers, body, subscriptions) VALUES ('indh', 2, gen_random_uuid(), 't', now(),"
        " now() - interval '10 minutes', '{}', '', '{}')",
        "UPDATE partner_queue SET state = 'requested', requested_at = now() - interval '3 minutes'"
        " WHERE slug = 'ocp'",
    )

    found = await measured(api)

    assert found["taawon_feed_partner_queues_behind amqp"] == 1
    assert found["taawon_feed_waiting_entries amqp"] == 2
    assert found["taawon_feed_most_waiting_entries amqp"] == 2
    assert 590 < found["taawon_feed_oldest_age_seconds amqp"] < 3600
    assert (found["taawon_partner_queues ready"], found["taawon_partner_queues requested"]) == (
        2,
        1,
    )
    assert 170 < found["taawon_partner_queues_oldest_request_age_seconds"] < 3600
    assert "indh" not in " ".join(found)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_the_provisioner_serves_its_metrics_where_a_port_is_set_and_nowhere_else():
    port = free_port()
    settings = test_settings("notifications", "postgresql+asyncpg://x@h/d", internal_port=port)
    url = f"http://127.0.0.1:{port}/metrics"

    with jobs.serving_metrics(settings):
        answer = await asyncio.to_thread(httpx.get, url, trust_env=False)
    silent = test_settings("notifications", "postgresql+asyncpg://x@h/d", internal_port=None)
    with jobs.serving_metrics(silent), pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, url, trust_env=False)

    assert "taawon_partner_queues_made_total" in answer.text
