"""Messages of an attacker or a broken sender: each becomes a dead letter and blocks no other."""

from __future__ import annotations

import gzip
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
import pytest
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelPreconditionFailed
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from devkit.pytest_plugin import TestDatabases, Vhost, eventually
from shared.contracts.base import MOST_EVENT_BYTES
from shared.errors import NotFound
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import (
    dead_letters,
    decoding,
    failure,
    message_processor,
    timestamps,
    topology,
)
from shared.kernel.messaging.consumers import Consumers

from .harness import (
    DELAYS,
    RunningService,
    StoneLaid,
    a_stone,
    channel_of,
    depth,
    message_of,
    post,
    running_service,
)
from .raw_messages import nested, raw

SECRET = "a private value"
QUEUE = "carpentry.take_stone"


class Carpenters:
    """A service that takes stones one by one, so that a stuck message blocks all others."""

    def __init__(self) -> None:
        self.consumers = Consumers("carpentry")
        self.taken: list[int] = []
        self.error: Exception | None = None
        self.consumers.on(StoneLaid, prefetch=1, queue="take_stone")(self.take_stone)

    async def take_stone(self, event: StoneLaid, session: AsyncSession) -> None:
        """A stone was laid: take it."""
        if event.number < 0 and self.error is not None:
            raise self.error
        self.taken.append(event.number)


def body(**changes: Any) -> bytes:
    """A stone as JSON; each change is JSON text."""
    stone = {
        "event_id": f'"{uuid.uuid4()}"',
        "occurred_at": f'"{datetime.now(UTC).isoformat()}"',
        "aggregate_version": "1",
        "stone_id": f'"{uuid.uuid4()}"',
        "number": "-1",
        **changes,
    }
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in stone.items()) + "}").encode()


def at(moment: str) -> bytes:
    return body(occurred_at=f'"{moment}"')


def soon(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


TEXT = f'{{"stone_id": "{SECRET} é"}}'
BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "ValidationError(: json_invalid)"),
    "null": (b"null", "ValidationError(: model_"),
    "a list": (b"[]", "ValidationError(: model_"),
    "deep lists": (b"[" * 400_000, "ValidationError(: json_invalid)"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "ValidationError(: json_inv"),
    "too large": (b" " * (MOST_EVENT_BYTES + 1), "WrongMessage(body of 1048577 bytes"),
    "just below, but no JSON": (b"x" * MOST_EVENT_BYTES, "ValidationError(: json_invalid)"),
    "far too large": (b" " * (8 * MOST_EVENT_BYTES), "WrongMessage(body of 8388608 bytes"),
    "beyond 64 bits": (body(aggregate_version="18446744073709551616"), "ValidationError(aggre"),
    "4,000 digits": (body(aggregate_version="9" * 4000), "ValidationError("),
    "NaN": (body(number="NaN"), "ValidationError(number: int_type"),
    "infinite": (body(number="1e999"), "ValidationError(number: int_type"),
    "a leap to 2^31": (body(aggregate_version=str(2**31)), "ValidationError(aggregate_version: le"),
    "version 0": (body(aggregate_version="0"), "ValidationError(aggregate_version: gre"),
    "UTF-16": (TEXT.encode("utf-16"), "ValidationError(: json_invalid)"),
    "latin-1": (TEXT.encode("latin-1"), "ValidationError(: json_invalid)"),
    "invalid UTF-8": (b'{"a": "\xff\xfe"}', "ValidationError("),
    "a mark before": (b"\xef\xbb\xbf" + body(), "ValidationError(: json_invalid)"),
    "half a character": (body(note='"\\ud800"'), "ValidationError(: json_invalid)"),
    "NUL": (body(note='"a\\u0000"'), "WrongMessage(a text holds U+0000"),
    "a key twice": (body(number='5, "number": 6'), "WrongMessage(a key stands twice)"),
    "a key twice, deep": (body(note='{"a": [{"b": 1, "b": 2}]}'), "WrongMessage(a key stands"),
    "NaN where nobody looks": (body(note="NaN"), "WrongMessage(the body can be read in more"),
    "packed": (gzip.compress(body()), "ValidationError(: json_invalid)"),
    "year 9999": (at("9999-12-31T23:59:59-14:00"), "WrongMessage(occurred_at is more than 5 min"),
    "in an hour": (at(soon(hours=1)), "WrongMessage(occurred_at is more than 5 minutes ahead"),
    "year 1": (at("0001-01-01T00:00:00+14:00"), "WrongMessage(occurred_at is before 2020)"),
    "a naive time": (at("2026-11-24T12:00:00"), "ValidationError(occurred_at: timezone_aware)"),
}
PROPERTIES: dict[str, tuple[dict[str, Any], str]] = {
    "an id that is no UUID": ({"message_id": "7"}, "WrongMessage(the message id is not a UUID)"),
    "an unknown version": ({"type": "masonry.stone.laid.v9"}, "WrongMessage(this queue does not"),
    "an unknown type": ({"type": "masonry.wall.fell.v1"}, "WrongMessage(this queue does not"),
    "gzip said": ({"content_encoding": "gzip"}, "WrongMessage(bodies are plain UTF-8"),
    "UTF-16 said": ({"content_type": "application/json; charset=utf-16"}, "WrongMessage(the cont"),
    "a form": ({"content_type": "application/x-www-form-urlencoded"}, "WrongMessage(the content"),
    "a second time": ({"headers": {"x-taawon-run": "7"}}, "WrongMessage(this queue takes no event"),
}


@pytest.fixture
def carpenters() -> Carpenters:
    return Carpenters()


@pytest.fixture
async def service(carpenters: Carpenters, vhost: Vhost, databases: TestDatabases) -> Any:
    url = databases.kernel()
    async with running_service(
        carpenters.consumers, vhost.admin_url, vhost.url("carpentry"), url
    ) as service:
        yield service


async def lay(vhost: Vhost, message: aio_pika.Message) -> None:
    await post(vhost.url("masonry"), message, StoneLaid.topic)


async def dies(
    service: RunningService, vhost: Vhost, carpenters: Carpenters, message: aio_pika.Message
) -> Any:
    """Send the message and a good one behind it, which is taken; the first one's dead letter."""
    before, number = len(await service.dead_letters()), len(carpenters.taken) + 1
    await lay(vhost, message)
    await lay(vhost, message_of(a_stone(number)))
    await eventually(lambda: carpenters.taken[-1:] == [number])

    async def kept() -> list[DeadLetterRow]:
        return (await service.dead_letters())[before:]

    (row,) = await eventually(kept)
    return row


def is_kept_well(row: Any, error: str) -> bool:
    assert row.error.startswith(error), row.error
    assert SECRET not in row.error + str(row.headers)
    return bool(row.queue == QUEUE)


async def test_a_wrong_body_is_kept_with_its_class_and_the_next_message_goes_through(
    service: RunningService, vhost, carpenters
):
    for name, (content, error) in BODIES.items():
        row = await dies(service, vhost, carpenters, message_of(a_stone(), body=content))
        assert is_kept_well(row, error), name
        assert (row.attempts, row.body) == (1, content), name

    assert await depth(vhost.admin_url, QUEUE) == 0


async def test_wrong_properties_are_kept_with_their_class(
    service: RunningService, vhost, carpenters
):
    for name, (changes, error) in PROPERTIES.items():
        row = await dies(service, vhost, carpenters, message_of(a_stone(), **changes))
        assert is_kept_well(row, error), name


async def test_a_message_without_an_id_is_kept(service: RunningService, vhost, carpenters):
    for message in (raw(message_id=None), raw(message_id=b"")):
        row = await dies(service, vhost, carpenters, message)
        assert is_kept_well(row, "WrongMessage(the message id is not a UUID)")


async def test_what_is_unusual_but_unambiguous_is_taken(service: RunningService, vhost, carpenters):
    odd = {
        "just ahead of us": at(soon(minutes=4)),
        "long ago": at("2020-02-03T04:05:06+01:00"),
        "unknown fields": body(note='{"a": [[[[]]]]}'),
        "nearly 1 MiB": body(note='"' + "x" * (MOST_EVENT_BYTES - 400) + '"'),
        "a backslash before u0000": body(note='"a\\\\u0000"'),
    }

    for content in odd.values():
        await lay(vhost, message_of(a_stone(), body=content))
    huge = {f"h{n}": "x" * 1000 for n in range(60)}
    await lay(vhost, message_of(a_stone(8), headers={**huge, "x": [{"a": None}], "n": -(2**63)}))
    await eventually(lambda: len(carpenters.taken) == len(odd) + 1)

    assert sorted(carpenters.taken) == [-1, -1, -1, -1, -1, 8]
    assert await service.dead_letters() == []


FORGED_ATTEMPTS = [
    -1,
    -100,
    -(2**63),
    2**63 - 1,
    "many",
    10**6,
    True,
    1.5,
    None,
    bytearray(b"\xff"),
]


@pytest.mark.parametrize("error", [NotFound()], ids=["early"])
async def test_a_forged_number_of_attempts_does_not_change_how_often_a_message_is_tried(
    service: RunningService, vhost, carpenters, error
):
    carpenters.error = error
    huge = {f"h{n}": "x" * 1000 for n in range(120)}
    for forged in FORGED_ATTEMPTS:
        headers = {failure.ATTEMPTS: forged, failure.FIRST_FAILED: "x" * 900, **huge}
        row = await dies(service, vhost, carpenters, message_of(a_stone(-1), headers=headers))
        assert (row.error, row.attempts) == ("NotFound", len(DELAYS) + 1), forged
        assert not [name for name in row.headers if name.startswith("h")]


UNDECODABLE = {
    "an id that is no UTF-8": raw(message_id=b"\xff\xfe"),
    "a type that is no UTF-8": raw(type=b"\xc3\x28"),
    "a time beyond year 9999": raw(timestamp=b"\x7f" + b"\xff" * 7),
    "a header name that is no UTF-8": raw(headers=b"\x01\xfft\x01"),
    "a header time beyond year 9999": raw(headers=b"\x01aT\x7f" + b"\xff" * 7),
    "tables in tables": raw(headers=nested(3_000)),
}


async def test_properties_that_the_client_cannot_decode_stop_no_consumer(
    service: RunningService, vhost, carpenters
):
    for name, message in UNDECODABLE.items():
        row = await dies(service, vhost, carpenters, message)
        assert row.error.startswith(("WrongMessage(properties or headers", failure.FORGED)), name
        assert StoneLaid.model_validate_json(row.body).number == -1, name

    assert service.runtime.consuming


async def test_properties_that_the_client_cannot_decode_do_not_stop_the_collector(
    service: RunningService, vhost
):
    """Every service may write to the dead-letter exchange, and the collector reads it."""
    for count, message in enumerate(UNDECODABLE.values(), start=1):
        await post(vhost.url("masonry"), message, QUEUE, exchange=topology.DEAD)
        await eventually(lambda count=count: _many(service, count))
    deep = raw(headers=nested(300))
    await post(vhost.url("masonry"), deep, QUEUE, exchange=topology.DEAD)

    rows = await eventually(lambda: _many(service, len(UNDECODABLE) + 1))
    assert {row.error for row in rows[:-1]} == {failure.FORGED}
    assert (rows[-1].error, rows[-1].headers) == (dead_letters.LIMIT_REACHED, {})


async def _many(service: RunningService, count: int) -> list[DeadLetterRow]:
    rows = await service.dead_letters()
    return rows if len(rows) >= count else []


async def test_a_message_that_fails_and_cannot_be_sent_on_is_dead_lettered_by_its_queue(
    service: RunningService, vhost, carpenters, monkeypatch
):
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError(SECRET)

    carpenters.error = NotFound()
    monkeypatch.setattr(message_processor, "failed_copy", broken)

    with capture_logs() as logs:
        row = await dies(service, vhost, carpenters, message_of(a_stone(-1)))

    assert (row.error, SECRET in str(row.headers)) == (
        "delivery limit of the broker reached",
        False,
    )
    # The defect is ours, so no server is named as the cause.
    assert {line["cause"] for line in logs if line["event"] == "consumer paused"} == {None}


async def test_no_service_may_publish_to_the_queue_of_another_directly(
    service: RunningService, vhost, carpenters
):
    async with channel_of(vhost.url("masonry")) as channel:
        with pytest.raises((ChannelAccessRefused, AMQPError)):
            await channel.default_exchange.publish(message_of(a_stone()), QUEUE)
    await lay(vhost, message_of(a_stone(1)))

    await eventually(lambda: carpenters.taken == [1])


async def test_the_broker_refuses_the_user_id_of_another(
    service: RunningService, vhost, carpenters
):
    for forged in ("carpentry", "guest", "x"):
        with pytest.raises(ChannelPreconditionFailed):
            await lay(vhost, message_of(a_stone(), user_id=forged))
    await lay(vhost, message_of(a_stone(1)))

    await eventually(lambda: carpenters.taken == [1])
    assert await service.dead_letters() == []


async def test_a_version_that_nobody_consumes_goes_to_the_unrouted_queue(
    service: RunningService, vhost, carpenters
):
    topic = "masonry.stone.laid.v9"

    await post(vhost.url("masonry"), message_of(a_stone(), type=topic), topic)
    await lay(vhost, message_of(a_stone(1)))

    await eventually(lambda: carpenters.taken == [1])
    assert await eventually(lambda: depth(vhost.admin_url, topology.UNROUTED)) == 1


@pytest.mark.parametrize("run", ["x" * 81, "a\0b", "a\nb"], ids=["long", "nul", "line"])
async def test_a_malformed_name_of_a_run_is_refused(vhost: Vhost, databases, run):
    consumers, taken = Consumers("carpentry"), []

    @consumers.on(StoneLaid, prefetch=1, projection=["stone"], queue="keep_stone")
    async def keep_stone(event: StoneLaid, session: AsyncSession) -> None:
        taken.append(event.number)

    url = databases.kernel()
    async with running_service(consumers, vhost.admin_url, vhost.url("carpentry"), url) as service:
        for name, number in ((run, 1), ("7", 2)):
            await lay(vhost, message_of(a_stone(number), headers={topology.RUN_HEADER: name}))
        (row,) = await eventually(lambda: service.dead_letters())
        await eventually(lambda: taken == [2])

    assert row.error == "WrongMessage(x-taawon-run is no name of a run)"


def test_a_time_more_than_five_minutes_ahead_of_our_clock_is_refused():
    decoding._refuse_impossible_time(datetime.now(UTC) + timedelta(minutes=4, seconds=59))

    with pytest.raises(failure.WrongMessage):
        decoding._refuse_impossible_time(
            datetime.now(UTC) + timestamps.AHEAD + timedelta(seconds=1)
        )
