"""One trace from the request to the last alert. Off unless the OTEL_* variables ask for it.

Our own `WorkContext` carries the trace, so passing it on needs nothing of this module; with tracing
on, each step becomes a span, and its `traceparent` replaces the one that the caller sent. Spans are
those of OpenTelemetry's API, which does nothing without an SDK (`otel.py`). Names and attributes
follow its conventions for HTTP and messaging. They contain ids, topics, queues and counts; never a
body, an address, or the message of an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from shared.kernel import context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = structlog.get_logger()

Attributes = Mapping[str, AttributeValue]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
MESSAGING = {"messaging.system": "rabbitmq"}
NO_SPAN: Span = INVALID_SPAN
"""In place of a span where nothing is traced."""

_PROPAGATOR = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: Tracer = NoOpTracer()


def use(provider: TracerProvider | None) -> None:
    """Trace with this provider from now on; None ends tracing in this process."""
    global _provider, _tracer
    _provider = provider
    _tracer = provider.get_tracer("taawon") if provider else NoOpTracer()


def is_on() -> bool:
    """Whether this process traces."""
    return _provider is not None


def configure(service: str) -> None:
    """Begin to trace, if the environment asks for it and the extra `otel` is installed."""
    if is_on() or not is_asked_for(os.environ):
        return
    if not is_installed():
        log.warning("tracing stays off", reason="install the extra: shared[otel]")
        return
    from . import otel  # an optional extra, and nobody else pays for its import

    use(otel.from_environment(service))


def is_installed() -> bool:
    """Whether the extra `otel` is installed: the SDK and the exporter."""
    wanted = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    try:
        return all(find_spec(name) is not None for name in wanted)
    except ModuleNotFoundError:
        return False


def shut_down() -> None:
    """Send the spans that are not sent yet, and end tracing."""
    if _provider is not None:
        _provider.shutdown()
        use(None)


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the variables name an endpoint or an exporter other than `none`.

    OTEL_SDK_DISABLED overrides both.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in ENDPOINTS)


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A span for a step of the work at hand; events recorded inside have it as their parent."""
    if _provider is None:
        yield NO_SPAN
        return
    work = context.current()
    made = _started(name, kind, _parent(work), attributes or {})
    try:
        with context.working(replace(work, traceparent=_traceparent(made), is_continued=True)):
            yield made
    except BaseException as error:
        fail(made, error)
        raise
    finally:
        made.end()


def fail(span: Span, error: BaseException | str) -> None:
    """Mark the span as failed, with the class of the error and nothing else of it."""
    span.set_attribute("error.type", error if isinstance(error, str) else type(error).__name__)
    span.set_status(StatusCode.ERROR)


def request(method: str) -> AbstractContextManager[Span]:
    """The span of a request; `answered` names it, for the route is known only at the end."""
    return span(method, {"http.request.method": method}, kind=SpanKind.SERVER)


def answered(span: Span, method: str, route: str, status: int) -> None:
    """Name the span of a request after its route, and add the status of the response.

    The path and the query are left out: they may name a person.
    """
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        fail(span, str(status))


def processing(
    queue: str, topic: str | None, message_id: str | None, size: int
) -> AbstractContextManager[Span]:
    """The span of a message that a consumer processes, as a child of the event's own span.

    `size` is that of the body, in bytes.
    """
    attributes = {
        **_messaging("process", "process", topic, message_id),
        "messaging.destination.name": queue,
        "messaging.message.body.size": size,
    }
    return span(f"process {queue}", attributes, kind=SpanKind.CONSUMER)


def recorded(topic: str, event_id: str, aggregate_id: str) -> str:
    """The traceparent that a newly recorded event carries: that of a span for its creation."""
    work = context.current()
    if _provider is None:
        return work.child_traceparent()
    attributes = {
        **_messaging("create", "create", topic, event_id),
        "taawon.aggregate_id": aggregate_id,
    }
    made = _started(f"create {topic}", SpanKind.PRODUCER, _parent(work), attributes)
    made.end()
    return _traceparent(made)


def sending(exchange: str, topic: str | None, message_id: str | None, parent: object) -> Span:
    """The span of a publish until its confirm, which the caller ends."""
    if _provider is None:
        return NO_SPAN
    attributes = {
        **_messaging("publish", "send", topic, message_id),
        "messaging.destination.name": exchange,
    }
    valid = str(parent) if context.is_traceparent(parent) else None
    return _started(f"publish {exchange}", SpanKind.PRODUCER, valid, attributes)


def _messaging(
    name: str, kind: str, topic: str | None, message_id: str | None
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        **MESSAGING,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "taawon.topic": topic or "",
    }
    return attributes | ({"messaging.message.id": message_id} if message_id else {})


def _parent(work: context.WorkContext) -> str | None:
    return work.traceparent if work.is_continued else None


def _started(name: str, kind: SpanKind, parent: str | None, attributes: Attributes) -> Span:
    above = _PROPAGATOR.extract({"traceparent": parent} if parent else {})
    return _tracer.start_span(name, context=above, kind=kind, attributes=attributes)


def _traceparent(span: Span) -> str:
    known = span.get_span_context()
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{int(known.trace_flags):02x}"
