"""Cursors and filters from an attacker, on every list: the field is named, no rows leak."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import orjson
import pytest

from devkit.stack_layout import SERVICES
from shared.kernel.web.requests import encode_cursor

from . import samples
from .problems import problem
from .running_services import Operation, Target, operations

ASKED = [
    operation
    for operation in operations()
    if operation.parameters("query") and operation.method == "get" and operation.needs_token
]
PUBLIC = [
    operation
    for operation in operations()
    if operation.parameters("query") and operation.method == "get" and not operation.needs_token
]
WITH_CURSOR = [op for op in ASKED if any(p["name"] == "after" for p in op.parameters("query"))]


def _caller(operation: Operation, tokens: Any) -> dict[str, str]:
    return samples.headers(tokens, "partner" if operation.path.startswith("/feed") else "operator")


def _ask(target: Target, operation: Operation, tokens: Any, query: Any) -> httpx.Response:
    return target.http.get(
        samples.path_of(operation), params=query, headers=_caller(operation, tokens)
    )


def raw(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


CURSORS: dict[str, str] = {
    "empty list": raw([]),
    "too many values": raw(["a", 1, 2, 3, 4]),
    "an object": raw({"a": 1}),
    "a list in it": raw([[1]]),
    "no base64": "!!!!",
    "cut off": encode_cursor(str(uuid.uuid4()))[:-7],
    "beyond 64 bits": raw([2**63]),
    "negative beyond": base64.urlsafe_b64encode(b"[-9223372036854775809]").decode(),
    "true": raw([True]),
    "half a number": raw([0.5]),
    "SQL": raw(["'; DROP TABLE audit; --"]),
    "plain SQL": "0 OR 1=1",
    "NUL": raw(["a\0"]),
    "plain NUL": "\0",
    "half a character": base64.urlsafe_b64encode(b'["\\ud800"]').decode(),
    "10 kB": "A" * 10_000,
    "10 kB of values": raw(["x" * 10_000]),
    "another script": "٣",
    "negative": "-1",
    "exponent": "1e3",
    "empty": "",
    "blank": " 1",
}


@pytest.mark.parametrize("operation", WITH_CURSOR, ids=str)
def test_a_cursor_that_this_list_did_not_make_is_refused(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]

    for name, cursor in CURSORS.items():
        answer = _ask(target, operation, tokens, {"after": cursor})
        body = problem(answer, 422)
        assert body["errors"][0]["field"] == "after", name


@pytest.mark.parametrize("operation", WITH_CURSOR, ids=str)
def test_a_cursor_of_another_list_is_refused_or_shows_nothing_of_it(
    operation: Operation, running_services, tokens
):
    """Lists of the same shape understand each other's cursors: a place, never another's rows."""
    target = running_services[operation.service]
    everything = {_key(item) for item in _items(_ask(target, operation, tokens, {"limit": 200}))}
    foreign = [
        encode_cursor(str(uuid.uuid4())),
        encode_cursor(5),
        encode_cursor(0, str(uuid.uuid4())),
        encode_cursor("2026-11-24T00:00:00+00:00", str(uuid.uuid4())),
    ]

    for cursor in foreign:
        answer = _ask(target, operation, tokens, {"after": cursor, "limit": 200})
        if answer.status_code != 200:
            problem(answer, 422)
        else:
            assert {_key(item) for item in _items(answer)} <= everything


def _items(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return list(body["items"] if isinstance(body, dict) else body)


def _key(item: Any) -> bytes:
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)


def _kinds(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for option in schema.get("anyOf", []):
        yield from _kinds(option)


ANYTHING = [
    "'; DROP TABLE audit; --",
    "a\0b",
    "\ufffd\U0010ffff",
    "x" * 10_000,
    "%",
    "\\",
    "*",
    "-1",
]
NUMBERS = ["-1", "99999999999999999999", "1e3", "0x10", "NaN", "", "1.5", "1;2", "a\0"]


@pytest.mark.parametrize("operation", ASKED, ids=str)
def test_a_filter_is_understood_or_refused_by_its_name(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]

    for parameter in operation.parameters("query"):
        kinds = list(_kinds(parameter["schema"]))
        numeric = any(kind.get("type") == "integer" for kind in kinds)
        closed = any({"enum", "$ref", "format"} & kind.keys() for kind in kinds)
        moment = any(kind.get("format") == "date-time" for kind in kinds)
        for value in NUMBERS if numeric else ANYTHING:
            answer = _ask(target, operation, tokens, {parameter["name"]: value})
            # A text that nothing matches, or seconds before 1970.
            if answer.status_code == 200 and not numeric and (not closed or moment):
                continue
            body = problem(answer, 400, 422)
            field = body["errors"][0]["field"].partition(".")[0]
            assert field == parameter["name"], (parameter["name"], value)


@pytest.mark.parametrize("operation", [*ASKED, *PUBLIC], ids=str)
@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_an_empty_filter_is_refused_and_never_answered_with_everything(
    operation: Operation, value: str, running_services, tokens
):
    target = running_services[operation.service]

    for parameter in operation.parameters("query"):
        body = problem(_ask(target, operation, tokens, {parameter["name"]: value}), 422)
        assert body["errors"][0]["field"] == parameter["name"]
        assert "leave it out" in body["errors"][0]["message"]


@pytest.mark.parametrize("operation", ASKED, ids=str)
def test_a_parameter_given_twice_or_misspelt_is_refused(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]
    name = operation.parameters("query")[0]["name"]

    for query in ({f"{name}s": "1"}, {"x' OR 1=1": "1"}, {"a\0": "1"}, {"x" * 3000: "1"}):
        body = problem(_ask(target, operation, tokens, query), 422)
        assert body["errors"][0]["field"] == next(iter(query))[:80]
        assert "no such parameter" in body["detail"]
    if any(
        "array" in str(kind.get("type"))
        for kind in _kinds(operation.parameters("query")[0]["schema"])
    ):
        return
    twice = _ask(target, operation, tokens, [(name, "1"), (name, "1")])
    assert twice.status_code == 422
    assert problem(twice, 422)["errors"][0]["field"] == name


FAR = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
MOMENTS = [
    (operation, parameter["name"])
    for operation in ASKED
    for parameter in operation.parameters("query")
    if "date-time" in str(parameter["schema"])
]


@pytest.mark.parametrize(("operation", "name"), MOMENTS, ids=str)
def test_a_moment_at_the_end_of_the_calendar_is_refused(
    operation: Operation, name: str, running_services, tokens
):
    for moment in FAR:
        answer = _ask(running_services[operation.service], operation, tokens, {name: moment})
        (error,) = problem(answer, 422)["errors"]
        assert (error["field"], "year" in error["message"]) == (name, True)


@pytest.mark.parametrize("service", SERVICES)
def test_events_are_not_sent_again_since_the_beginning_of_the_calendar(
    service, running_services, tokens
):
    request = {"kind": "log", "queue": "notifications.store_partner", "reason": "x"}

    for name, moment in product(("since", "until"), FAR):
        answer = running_services[service].http.post(
            "/replays", json=request | {name: moment}, headers=samples.headers(tokens, "operator")
        )
        assert problem(answer, 422)["errors"][0]["field"] == name
