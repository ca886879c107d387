"""Requests made up from the OpenAPI documents: no route fails, and each answers as documented."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from devkit.pytest_plugin import PATIENCE
from devkit.stack_layout import SERVICES

from . import samples
from .running_services import Operation, Target, document, operations, routes

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = operations()
SESSION = requests.Session()


@cache
def _schema(service: str) -> Any:
    return schemathesis.openapi.from_dict(document(service), config=SchemathesisConfig())


def _cases(operation: Operation) -> st.SearchStrategy[Any]:
    """Requests as the document allows them and as it does not, half of them for what exists."""
    described = _schema(operation.service)[operation.path][operation.method.upper()]
    names = [p["name"] for p in operation.parameters("path")]
    known = {name: st.sampled_from(samples.KNOWN[name]) for name in names if name in samples.KNOWN}
    modes = [described.as_strategy(generation_mode=GenerationMode.POSITIVE)]
    if operation.parameters("query") or "requestBody" in operation.about or names:
        modes.append(described.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.tuples(st.one_of(modes), st.fixed_dictionaries(known) if known else st.none())


def _answer(case: Any, target: Target, caller: dict[str, str], streams: bool) -> requests.Response:
    sent = case.as_transport_kwargs(base_url=target.base(case.operation.path), headers=caller)
    answer = SESSION.request(**sent, stream=streams, timeout=PATIENCE, allow_redirects=False)
    if streams:
        answer.close()
    return answer


def _waits_for_broker(answer: requests.Response) -> bool:
    """The services have no broker: a route that needs one says so, and is right."""
    return answer.status_code == 503 and answer.json()["code"] == "broker-unreachable"


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_bears_whatever_is_sent(
    operation: Operation, running_services: dict[str, Target], tokens, request
):
    target = running_services[operation.service]
    callers = samples.CALLERS if operation.needs_token else samples.CALLERS[:1]
    received: Counter[int] = Counter()

    @given(_cases(operation), st.sampled_from(callers))
    @settings(
        max_examples=request.config.getoption("--fuzz-examples") * len(callers),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(made: tuple[Any, dict[str, str] | None], caller: str) -> None:
        case, known = made
        if known:
            case.path_parameters = {**case.path_parameters, **known}
        answer = _answer(case, target, samples.headers(tokens, caller), operation.streams)
        received[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS[1:] if _waits_for_broker(answer) else CHECKS)

    send()

    assert sum(received.values()) > 0, f"{operation} was never called"


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_in_the_document_and_every_operation_of_it_is_tried(service):
    documented = {(op.method, op.path) for op in operations(service)}

    assert {(op.method, op.path) for op in OPERATIONS if op.service == service} == documented
    assert documented == routes(service)
