"""One trace from the request to the last alert. Off unless the OTEL_* variables ask for it.

Our own `WorkContext` carries the trace, so nothing here is needed to pass it on; with tracing on,
each step becomes a span and its `traceparent` takes the place of the one that was handed in.
Names and attributes follow OpenTelemetry's conventions for HTTP and messaging. They hold ids,
topics, queues and counts; never a body, an address, or the message of an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Literal, Protocol

import structlog

from . import context

log = structlog.get_logger()

Kind = Literal["internal", "server", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool | Sequence[str]]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
MESSAGING = {"messaging.system": "rabbitmq"}


class Span(Protocol):
    """A step of the work that is being watched."""

    @property
    def traceparent(self) -> str: ...

    def name(self, name: str) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, error: BaseException | str) -> None:
        """Say that it went wrong: the class of the error and nothing else of it."""

    def end(self) -> None: ...


class Tracing(Protocol):
    """Whatever makes spans."""

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Span: ...

    def shut_down(self) -> None: ...


class Unwatched:
    """The span of a process that traces nothing."""

    traceparent = ""

    def name(self, name: str) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, error: BaseException | str) -> None: ...

    def end(self) -> None: ...


UNWATCHED: Span = Unwatched()
_tracing: Tracing | None = None


def use(tracing: Tracing | None) -> None:
    """From now on this process traces with this; None ends it."""
    global _tracing
    _tracing = tracing


def is_on() -> bool:
    return _tracing is not None


def configure(service: str) -> None:
    """Trace where the environment asks for it and the extra is installed; once per process."""
    if _tracing is not None or not is_asked_for(os.environ):
        return
    if not is_installed():
        log.warning("tracing stays off", reason="install the extra: shared[otel]")
        return
    from . import otel  # an optional extra, and nobody else pays for its import

    use(otel.from_environment(service))


def is_installed() -> bool:
    """Whether the extra is there: all of it, for the SDK alone sends nothing."""
    wanted = ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    try:
        return all(find_spec(name) is not None for name in wanted)
    except ModuleNotFoundError:
        return False


def shut_down() -> None:
    """Send what is not sent yet, and stop."""
    if _tracing is not None:
        _tracing.shut_down()
        use(None)


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """By an endpoint or an exporter, unless OTEL_SDK_DISABLED or the exporter `none` says no."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in ENDPOINTS)


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: Kind = "internal"
) -> Iterator[Span]:
    """A step of the work at hand; facts recorded inside have it as their parent."""
    if _tracing is None:
        yield UNWATCHED
        return
    work = context.current()
    parent = work.traceparent if work.is_continued else None
    made = _tracing.start(name, kind, parent, attributes or {})
    try:
        with context.working(replace(work, traceparent=made.traceparent, is_continued=True)):
            yield made
    except BaseException as error:
        made.fail(error)
        raise
    finally:
        made.end()


def request(method: str) -> AbstractContextManager[Span]:
    """The span of a request; `answered` names it, for the route is known only at the end."""
    return span(method, {"http.request.method": method}, kind="server")


def answered(span: Span, method: str, route: str, status: int) -> None:
    """What came of a request. Never its path or its query: those may name somebody."""
    span.name(f"{method} {route}")
    span.set({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.fail(str(status))


def processing(
    queue: str, topic: str | None, message_id: str | None, size: int
) -> AbstractContextManager[Span]:
    """The span of a message that a reaction works on, as a child of the fact's own span."""
    attributes: dict[str, str | int] = {
        **MESSAGING,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.message.body.size": size,
        "taawon.topic": topic or "",
    }
    if message_id:
        attributes["messaging.message.id"] = message_id
    return span(f"process {queue}", attributes, kind="consumer")


def recorded(topic: str, event_id: str, aggregate_id: str) -> str:
    """The traceparent that a fact carries from now on: that of the step that recorded it."""
    work = context.current()
    if _tracing is None:
        return work.child_traceparent()
    parent = work.traceparent if work.is_continued else None
    attributes = {
        **MESSAGING,
        "messaging.operation.name": "create",
        "messaging.operation.type": "create",
        "messaging.message.id": event_id,
        "taawon.topic": topic,
        "taawon.aggregate_id": aggregate_id,
    }
    made = _tracing.start(f"create {topic}", "producer", parent, attributes)
    made.end()
    return made.traceparent


def sending(exchange: str, topic: str | None, message_id: str | None, parent: object) -> Span:
    """The span of a publish until its confirm; the caller ends it. The message stays as it is."""
    if _tracing is None:
        return UNWATCHED
    attributes = {
        **MESSAGING,
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": exchange,
        "taawon.topic": topic or "",
    }
    if message_id:
        attributes["messaging.message.id"] = message_id
    valid = str(parent) if context.is_traceparent(parent) else None
    return _tracing.start(f"publish {exchange}", "producer", valid, attributes)
