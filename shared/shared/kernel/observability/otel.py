"""Sets up the OpenTelemetry SDK as the OTEL_* variables say; imported only where they do."""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)


class UnknownExporter(SystemExit):
    """OTEL_TRACES_EXPORTER or the OTLP protocol has a value that is not supported."""


def from_environment(service: str) -> TracerProvider:
    """The provider of a service; the SDK itself reads sampler, limits, endpoint and headers.

    Raises `UnknownExporter` for an exporter or a protocol that is not supported.
    """
    provider = TracerProvider(resource=Resource.create(_resource(service)))
    provider.add_span_processor(BatchSpanProcessor(_exporter()))
    return provider


def _resource(service: str) -> dict[str, str]:
    """The service's name, unless the operator sets OTEL_SERVICE_NAME."""
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
