"""One trace leads from the request to the last alert, through a real broker and databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aio_pika
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import text

from devkit.pytest_plugin import TestDatabases, Tokens, Vhost, eventually, test_settings
from funding.app import create_app as create_funding
from notifications.app import create_app as create_notifications
from notifications.audience import usecases
from shared.contracts import catalogue
from shared.contracts.registry import CooperativesImported
from shared.kernel.auth.tokens import Role
from shared.kernel.installed import installed_services
from shared.kernel.messaging import topology
from shared.kernel.observability import logs, tracing
from shared.kernel.service.spec import installed_consumers

DELAYS = (0.2, 0.2)
QUEUE = "p.indh.0000.events"
CALL = {
    "funder": "INDH",
    "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
    "summary": {"fr": "Pour les coopératives.", "ar": "للتعاونيات."},
    "tracks": [
        {
            "name": {"fr": "Coopératives", "ar": "التعاونيات"},
            "criteria": {},
            "max_grant_centimes": 30_000_000,
        }
    ],
    "deadline": {"local": "2090-09-01T16:00"},
}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


@pytest.fixture
def site(vhosts: Callable[..., Vhost]) -> Iterator[Vhost]:
    vhost = vhosts(*installed_services())
    yield vhost
    vhost.broker.management.delete_vhost(vhost.name)


@asynccontextmanager
async def running(app: FastAPI, tokens: Tokens) -> AsyncIterator[httpx.AsyncClient]:
    """The whole process of a service, relay and consumers included, and a client of its API."""
    async with app.router.lifespan_context(app):
        app.state.runtime.verifier = tokens.verifier
        await eventually(lambda: app.state.runtime.consuming)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            http.headers.update(tokens.headers(Role.OPERATOR))
            yield http


async def prepare_partner(url: str, sessions: Any) -> None:
    """A queue as the provisioner makes it, of an institution that subscribed to every call."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("partner.out", "direct", durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True)
        await queue.bind(exchange, QUEUE)
    async with sessions.begin() as session:
        for statement in (
            "INSERT INTO partner (slug) VALUES ('indh')",
            "INSERT INTO subscription (subscription_id, slug, filter)"
            " VALUES (gen_random_uuid(), 'indh', '{}')",
            "INSERT INTO partner_queue (slug, queue, username, password_hash, state,"
            " requested_by)"
            f" VALUES ('indh', '{QUEUE}', 'p-indh', 'x', 'ready', gen_random_uuid())",
        ):
            await session.execute(text(statement))


async def delivered(url: str) -> aio_pika.abc.AbstractIncomingMessage:
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(QUEUE)
        return await eventually(lambda: queue.get(fail=False, no_ack=True))


class Trace:
    """The spans of one trace, found by name and by who caused whom."""

    def __init__(self, spans: tuple[ReadableSpan, ...]) -> None:
        self.spans = {span.context.span_id: span for span in spans}

    def one(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans.values() if span.name == name]
        return found

    def way(self, name: str) -> list[str]:
        """The names from the root to this span."""
        span, names = self.one(name), [name]
        while span.parent is not None:
            span = self.spans[span.parent.span_id]
            names.insert(0, span.name)
        return names


async def test_one_trace_leads_from_the_request_to_the_partners_queue(
    site: Vhost,
    databases: TestDatabases,
    tokens: Tokens,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    await topology.apply(site.admin_url, DELAYS, installed_consumers())
    imported = CooperativesImported.topic
    sample = CooperativesImported.model_validate_json(catalogue.sample(imported))
    async with AsyncExitStack() as stack:
        apps = {
            name: create(
                test_settings(
                    name,
                    databases.fresh(name),
                    amqp_url=site.url(name),
                    amqp_partners_url=site.admin_url,
                    retry_delays=DELAYS,
                    relay_poll_seconds=0.1,
                )
            )
            for name, create in (
                ("notifications", create_notifications),
                ("funding", create_funding),
            )
        }
        api = [await stack.enter_async_context(running(app, tokens)) for app in apps.values()][1]
        sessions = apps["notifications"].state.runtime.sessions
        await prepare_partner(site.admin_url, sessions)
        async with sessions.begin() as session:
            await usecases.store_cooperatives(session, sample.cooperatives)
        drafted = (await api.post("/calls", json=CALL)).json()
        spans.clear()

        opened = await api.post(
            f"/calls/{drafted['call_id']}/open", json={}, headers={"If-Match": '"1"'}
        )
        assert opened.status_code < 300, opened.text
        message = await delivered(site.admin_url)
        trace = await eventually(lambda: finished(spans))

    request = trace.one("POST /calls/{call_id}/open")
    assert request.parent is None
    assert request.kind is SpanKind.SERVER
    written = [request.name, "create funding.call.opened.v1"]
    assert trace.way("publish taawon.events") == [*written, "publish taawon.events"]
    alerted = [*written, "process notifications.follow_call", "fan out call"]
    assert trace.way("fan out call") == alerted
    fed = [*written, "process notifications.feed_partners", "publish partner.out"]
    assert trace.way("publish partner.out") == fed
    assert message.headers["traceparent"].split("-")[1] == f"{request.context.trace_id:032x}"

    fan_out = trace.one("fan out call").attributes
    counted = [fan_out[f"taawon.alerts.{v}"] for v in ("eligible", "unknown", "corrected")]
    assert counted == [len(sample.cooperatives), 0, 0]
    processed = trace.one("process notifications.follow_call")
    assert processed.kind is SpanKind.CONSUMER
    assert processed.attributes["messaging.system"] == "rabbitmq"
    assert processed.attributes["messaging.operation.type"] == "process"
    assert processed.attributes["messaging.destination.name"] == "notifications.follow_call"
    assert processed.attributes["taawon.outcome"] == "done"
    published = trace.one("publish partner.out")
    assert published.kind is SpanKind.PRODUCER
    assert published.attributes["messaging.message.id"] == message.message_id

    everything = json.dumps([span.to_json() for span in spans.get_finished_spans()])
    assert all(span.status.status_code is not StatusCode.ERROR for span in trace.spans.values())
    for record in sample.cooperatives:
        assert record.name_fr not in everything
    assert QUEUE not in everything


def finished(spans: InMemorySpanExporter) -> Trace | None:
    """The trace of the request, once its last spans have ended."""
    seen = spans.get_finished_spans()
    roots = [span for span in seen if span.name == "POST /calls/{call_id}/open"]
    if not roots:
        return None
    mine = tuple(s for s in seen if s.context.trace_id == roots[0].context.trace_id)
    names = {span.name for span in mine}
    consumers = {f"process notifications.{name}" for name in ("follow_call", "feed_partners")}
    wanted = {"fan out call", "publish partner.out", "publish taawon.events", *consumers}
    # The event that a fan-out is completed leaves under the same name as the event that caused it.
    return Trace(tuple(_without_completion(mine))) if wanted <= names else None


def _without_completion(spans: tuple[ReadableSpan, ...]) -> list[ReadableSpan]:
    completion = "notifications.fanout.completed.v1"
    return [
        span
        for span in spans
        if not (span.name.startswith("publish") and span.attributes["taawon.topic"] == completion)
    ]
