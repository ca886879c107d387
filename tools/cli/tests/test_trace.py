"""The way of one event through the services, put together from what each of them reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cli.client import OperatorClient, ServiceResponse
from cli.commands import trace as trace_command
from cli.event_trace import follow, steps
from shared.kernel.admin.schemas import (
    DeadLetterOut,
    PartnerDelivery,
    ProcessedEvent,
    Trace,
    TracedEvent,
)

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def later(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def an_event(event_id: UUID, topic: str, at: int, sent: int | None, **more: Any) -> TracedEvent:
    row = {
        "quarantined_at": None,
        "attempts": 0,
        "last_error": None,
        "correlation_id": "wall-7",
        "causation_id": None,
    }
    return TracedEvent(
        event_id=event_id,
        topic=topic,
        created_at=later(at),
        published_at=None if sent is None else later(sent),
        **{**row, **more},
    )


def test_the_steps_of_an_event_are_in_the_order_of_time():
    laid, cut = uuid4(), uuid4()
    publisher = Trace(
        service="masonry",
        events=[an_event(laid, "masonry.stone.laid.v1", 0, 12)],
        processed=[],
        dead_letters=[],
    )
    consumer = Trace(
        service="carpentry",
        events=[an_event(cut, "carpentry.beam.cut.v1", 30, None, causation_id=str(laid))],
        processed=[ProcessedEvent(queue="carpentry.saw", event_id=laid, received_at=later(20))],
        dead_letters=[
            DeadLetterOut(
                number=4,
                queue="carpentry.glue",
                message_id=str(laid),
                topic="masonry.stone.laid.v1",
                error="KeyError",
                attempts=6,
                first_failed_at=later(25),
                last_failed_at=later(900),
                state="dead",
            )
        ],
    )

    found = steps([consumer, publisher])

    assert [(s.after_ms, s.service, s.what) for s in found] == [
        (0, "masonry", "written"),
        (12, "masonry", "sent"),
        (20, "carpentry", "processed"),
        (30, "carpentry", "written"),
        (900, "carpentry", "dead"),
    ]
    assert {s.topic for s in found if s.event_id == str(laid)} == {"masonry.stone.laid.v1"}
    assert f"caused by {laid}" in found[3].detail
    assert "dead letter 4 of carpentry.glue, 6 attempts: KeyError" in found[4].detail


def test_what_could_not_be_sent_says_why():
    stuck = an_event(
        uuid4(), "x.y.v1", 0, None, quarantined_at=later(50), attempts=3, last_error="TooLarge"
    )

    found = steps([Trace(service="x", events=[stuck], processed=[], dead_letters=[])])

    assert [(s.what, s.detail) for s in found] == [
        ("written", ""),
        ("quarantined", "3 failed attempts, TooLarge"),
    ]


def test_what_partners_got_is_on_the_way():
    event, moment = uuid4(), later(40)
    entry = {"event_id": event, "topic": "x.y.v1", "partner": "fm5", "position": 7}
    deliveries = [
        PartnerDelivery(**entry, channel=None, at=moment),
        PartnerDelivery(**entry, channel="amqp", at=moment),
    ]
    trace = Trace(
        service="notifications",
        events=[],
        processed=[],
        dead_letters=[],
        partner_deliveries=deliveries,
    )

    found = steps([trace, trace])

    assert [(s.what, s.topic, s.detail) for s in found] == [
        ("fed", "x.y.v1", "fm5, position 7"),
        ("handed over", "x.y.v1", "fm5, position 7, by amqp"),
    ]


@dataclass(frozen=True)
class Archive(OperatorClient):
    """A service that knows `events` events of one request, and takes at most fifty ids at once."""

    events: int = 0
    cut: bool = False

    async def ask(
        self, path: str, *, signed: bool = True, **query: Any
    ) -> dict[str, ServiceResponse]:
        ids = [UUID(int=number) for number in range(self.events)]
        asked = {UUID(event) for event in query["event"]}
        assert len(asked) <= 50
        trace = Trace(
            service="masonry",
            events=[an_event(each, "x.y.v1", each.int, None) for each in ids],
            processed=[
                ProcessedEvent(queue="masonry.lay_stones", event_id=each, received_at=START)
                for each in asked
            ],
            dead_letters=[],
            cut=self.cut,
        )
        return {"masonry": ServiceResponse(200, trace.model_dump(mode="json"))}


async def test_however_many_events_a_request_caused_all_are_followed():
    way = await follow(Archive({}, events=120), "wall-7")

    processed = [step for step in way.steps if step.what == "processed"]
    assert (len(way.steps), len({step.event_id for step in processed})) == (240, 120)
    assert way.cut == ()


async def test_who_knows_more_than_it_reported_is_named(monkeypatch, capsys):
    way = await follow(Archive({}, events=1, cut=True), "wall-7")
    assert way.cut == ("masonry",)

    trace_command._show(way)

    printed = capsys.readouterr()
    assert "from 2026-01-05 09:00:00.000000 UTC" in printed.out
    assert "masonry knows more than is shown" in printed.err


def test_nothing_known_is_no_step():
    assert steps([Trace(service="x", events=[], processed=[], dead_letters=[])]) == []
