"""Tracing is off, and costs nothing, unless the OTEL_* variables ask for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from shared.kernel import context
from shared.kernel.context import WorkContext, working
from shared.kernel.observability import otel, tracing

HANDED_IN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the machine that runs this, and no tracing left behind."""
    for name in (
        ENDPOINT,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_TRACES_EXPORTER",
        "OTEL_SDK_DISABLED",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ):
        monkeypatch.delenv(name, raising=False)
    yield
    tracing.shut_down()


@dataclass
class Collector:
    """Takes spans over OTLP as Jaeger, Tempo or a collector would."""

    url: str
    taken: list[ExportTraceServiceRequest] = field(default_factory=list)


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            made.taken.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Taker) as server:
        made = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_spans_reach_the_collector_that_the_variables_name(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")

    tracing.configure("kernel")
    with tracing.span("lay a stone", {"taawon.topic": "masonry.stone.laid.v1"}):
        pass
    tracing.shut_down()

    (request,) = collector.taken
    (exported,) = request.resource_spans
    names = {each.key: each.value.string_value for each in exported.resource.attributes}
    assert (names["service.namespace"], names["service.name"]) == ("taawon", "kernel")
    assert [span.name for span in exported.scope_spans[0].spans] == ["lay a stone"]


@pytest.mark.parametrize(
    ("asked", "variables"),
    [
        (False, {}),
        (True, {ENDPOINT: "http://collector:4318"}),
        (True, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}),
        (True, {"OTEL_TRACES_EXPORTER": "otlp"}),
        (False, {"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://collector:4318"}),
        (False, {"OTEL_SDK_DISABLED": "true", ENDPOINT: "http://collector:4318"}),
        (False, {ENDPOINT: ""}),
    ],
)
def test_the_standard_variables_decide(asked: bool, variables: dict[str, str]):
    assert tracing.is_asked_for(variables) is asked


def test_an_exporter_that_we_lack_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    with pytest.raises(otel.UnknownExporter, match="http/protobuf"):
        tracing.configure("kernel")


def test_without_the_extra_the_service_runs_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENDPOINT, "http://collector:4318")
    monkeypatch.setattr(tracing, "is_installed", lambda: False)

    with capture_logs() as lines:
        tracing.configure("kernel")

    assert not tracing.is_on()
    assert "shared[otel]" in lines[0]["reason"]


def test_a_service_that_traces_nothing_loads_no_sdk_and_no_exporter():
    """FastAPI itself needs the bare API; what costs is the rest."""
    program = (
        "import sys, shared.kernel.service.app; from shared.kernel.observability import tracing;"
        "tracing.configure('ideas');"
        "print([m for m in sys.modules if m.startswith(("
        "'opentelemetry.sdk', 'opentelemetry.exporter', "
        "'google.protobuf', 'shared.kernel.observability.otel'))])"
    )

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"


def test_while_it_is_off_the_trace_is_passed_on_all_the_same():
    with working(WorkContext.of(traceparent=HANDED_IN)), tracing.span("lay a stone"):
        recorded = tracing.recorded("masonry.stone.laid.v1", "id", "aggregate")

    assert recorded.split("-")[1] == HANDED_IN.split("-")[1]
    assert recorded != HANDED_IN


def test_an_error_leaves_its_class_in_the_span_and_not_its_words(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    tracing.configure("kernel")

    with pytest.raises(LookupError), tracing.span("lay a stone"):
        raise LookupError("Fatima has no stone")
    tracing.shut_down()

    text = str(collector.taken)
    assert "LookupError" in text
    assert "Fatima" not in text


def test_log_lines_name_the_trace():
    with working(WorkContext.of(traceparent=HANDED_IN)):
        outer = structlog.contextvars.get_contextvars()
    with working(WorkContext.of()) as work:
        inner = structlog.contextvars.get_contextvars()

    assert outer["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert inner["trace_id"] == work.trace_id != outer["trace_id"]
    assert context.is_traceparent(work.traceparent)
