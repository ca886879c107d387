"""Every path of every service: HEAD where GET is, OPTIONS, and a complete `Allow`."""

from __future__ import annotations

import re

import httpx
import pytest

from devkit.stack_layout import SERVICES

from . import samples
from .problems import problem
from .running_services import Operation, operations, routes

PATHS = sorted({(service, path) for service in SERVICES for _, path in routes(service)})
READS = [operation for operation in operations() if operation.method == "get"]
TRIED = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT", "TRACE", "BREW")
OWN = {"date", "x-correlation-id", "ratelimit"}
"""Headers that no two answers have in common."""
CHANGING = {"/metrics", "/status"}
"""Paths whose answers are as long as what happened meanwhile is much."""


def somewhere(path: str) -> str:
    """A path of this template, with ids that nothing has."""
    return re.sub(r"\{[^}]*\}", "7", path)


@pytest.mark.parametrize(("service", "path"), PATHS)
def test_allow_names_every_method_that_a_path_takes_and_no_other(service, path, running_services):
    target = running_services[service]
    http, address = target.http, target.base(path) + somewhere(path)
    declared = {method.upper() for method, other in routes(service) if other == path}

    options = http.options(address)
    allow = set(options.headers["allow"].split(", "))
    refused = {method: http.request(method, address) for method in TRIED}
    refused = {method: each for method, each in refused.items() if each.status_code == 405}

    assert (options.status_code, options.content) == (204, b"")
    assert allow >= declared | {"OPTIONS"}
    assert refused.keys() == set(TRIED) - allow
    assert {each.headers["allow"] for each in refused.values()} == {options.headers["allow"]}
    for method, each in refused.items():
        if method != "HEAD":
            assert options.headers["allow"] in problem(each, 405)["detail"]


@pytest.mark.parametrize("caller", ["operator", "partner", None])
@pytest.mark.parametrize("operation", READS, ids=str)
def test_head_is_get_without_a_body(operation: Operation, caller, running_services, tokens):
    target = running_services[operation.service]
    headers = samples.headers(tokens, caller) if caller else {}
    address = target.base(operation.path) + samples.path_of(operation)

    read = target.http.get(address, headers=headers)
    head = target.http.head(address, headers=headers)

    assert common(head, operation.path) == common(read, operation.path)
    assert head.content == b""


def common(answer: httpx.Response, path: str) -> tuple[int, dict[str, str]]:
    """The status and the headers that GET and HEAD of one path share."""
    own = OWN | ({"content-length"} if path in CHANGING else set())
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status_code, headers
