"""Spans of the OpenTelemetry SDK; imported only where the extra is there and asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .tracing import Attributes, Kind, Span

_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class UnknownExporter(SystemExit):
    """OTEL_TRACES_EXPORTER or the protocol asks for what we can't send."""


def from_environment(service: str) -> OtelTracing:
    """As the OTEL_* variables say; the SDK itself reads sampler, limits, endpoint and headers."""
    provider = TracerProvider(resource=Resource.create(_resource(service)))
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    return OtelTracing(provider)


def _resource(service: str) -> dict[str, str]:
    """Our name, unless the operator gives another by OTEL_SERVICE_NAME."""
    named = os.environ.get("OTEL_SERVICE_NAME")
    return {"service.name": named or service, "service.namespace": "taawon"}


def _exporter() -> SpanExporter:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "console":
        return ConsoleSpanExporter()
    protocol = os.environ.get(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    )
    if name != "otlp" or protocol != "http/protobuf":
        raise UnknownExporter(
            f"traces can't be sent by {name} over {protocol}: set OTEL_TRACES_EXPORTER to otlp,"
            " console or none, and OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf"
        )
    return OTLPSpanExporter()


class OtelTracing:
    """Makes spans by one provider, which knows where they go."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("taawon")

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Span:
        carrier = {"traceparent": parent} if parent else {}
        return SdkSpan(
            self._tracer.start_span(
                name,
                context=_PROPAGATOR.extract(carrier),
                kind=_KINDS[kind],
                attributes=dict(attributes),
            )
        )

    def shut_down(self) -> None:
        self._provider.shutdown()


@dataclass(frozen=True)
class SdkSpan:
    """A span of the SDK behind our few verbs."""

    inner: OtelSpan

    @property
    def traceparent(self) -> str:
        known = self.inner.get_span_context()
        return f"00-{known.trace_id:032x}-{known.span_id:016x}-{int(known.trace_flags):02x}"

    def name(self, name: str) -> None:
        self.inner.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self.inner.set_attributes(dict(attributes))

    def fail(self, error: BaseException | str) -> None:
        kind = error if isinstance(error, str) else type(error).__name__
        self.inner.set_attribute("error.type", kind)
        self.inner.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self.inner.end()
