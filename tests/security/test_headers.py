"""Every answer of every service has the headers that keep a browser from misusing it."""

from __future__ import annotations

import socket

import httpx
import pytest

from devkit.stack_layout import SERVICES
from shared.kernel.web.security_headers import STATIC, security_headers

from . import samples
from .running_services import Operation, Target, operations

SECONDS_KEPT = {"/.well-known/jwks.json": 60, "/reference/": 86_400}
"""The only answers that others may keep, by the beginning of their path."""


def missing(answer: httpx.Response) -> list[str]:
    """Which headers an answer lacks, or has twice."""
    return [name for name, value in STATIC if answer.headers.get_list(name) != [value]]


@pytest.mark.parametrize("operation", [each for each in operations() if not each.streams], ids=str)
def test_every_route_answers_with_the_headers(operation: Operation, running_services, tokens):
    target: Target = running_services[operation.service]
    path = samples.path_of(operation)
    # An import would go on in the background, and a change would meet other tests.
    callers = [{}, samples.headers(tokens, "operator")] if operation.method == "get" else [{}]

    for headers in callers:
        answer = target.http.request(operation.method, path, headers=headers)

        assert missing(answer) == []
        assert "server" not in answer.headers
        assert answer.headers.get_list("cache-control") == [kept(operation.path)]


def kept(path: str) -> str:
    """What the answers of a path say to caches."""
    seconds = next((known for start, known in SECONDS_KEPT.items() if path.startswith(start)), None)
    return f"public, max-age={seconds}" if seconds else "no-store"


@pytest.mark.parametrize("service", SERVICES)
def test_answers_that_no_route_gives_have_them_too(service: str, running_services):
    target: Target = running_services[service]

    unknown = target.http.get("/nowhere")
    internal = target.http.get("/metrics")
    too_large = target.http.post("/token", content=b"x" * 300_000)

    for answer in (unknown, internal, too_large):
        assert answer.is_client_error
        assert missing(answer) == []
        assert answer.headers["cache-control"] == "no-store"


def test_what_is_no_http_is_refused_as_a_problem_with_them(running_services):
    url = httpx.URL(running_services["ideas"].url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(b"HELO there\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    head, _, body = answer.partition("\r\n\r\n")
    lines = [line.lower() for line in head.splitlines()]
    assert lines[0] == "http/1.1 400 bad request"
    assert [name for name, value in STATIC if f"{name}: {value}".lower() not in lines] == []
    assert '"malformed-request"' in body


def test_tls_is_promised_only_where_it_is_set():
    names = [dict(security_headers(seconds)) for seconds in (0, 31_536_000)]

    assert "Strict-Transport-Security" not in names[0]
    assert names[1]["Strict-Transport-Security"] == "max-age=31536000"
