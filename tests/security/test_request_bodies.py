"""Hostile bodies, headers and paths: each is refused with a problem that names what to do."""

from __future__ import annotations

import gzip
import io
import re
import uuid
import zipfile
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest

from devkit.stack_layout import SERVICES

from . import samples
from .problems import problem
from .running_services import Operation, Target, document, operations

LIMIT = 256 * 1024
JSON = {"Content-Type": "application/json"}


def takes(operation: Operation) -> set[str]:
    return set(operation.about.get("requestBody", {}).get("content", {}))


WITH_JSON = [operation for operation in operations() if "application/json" in takes(operation)]


def _caller(operation: Operation, tokens: Any) -> dict[str, str]:
    own = {"funding": "partner", "ideas": "cooperative"}.get(operation.service, "operator")
    return {"If-Match": "*", **samples.headers(tokens, own)}


def _send(target: Target, operation: Operation, tokens: Any, content: Any, **headers: str) -> Any:
    given = {
        **JSON,
        **_caller(operation, tokens),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return target.http.request(
        operation.method, samples.path_of(operation), content=content, headers=given
    )


UNREADABLE: dict[str, bytes] = {
    "cut off": b'{"title": ',
    "two documents": b"{}{}",
    "a key twice": b'{"reason": "a", "reason": "b"}',
    "a key twice, deep": b'{"title": {"fr": "a", "fr": "b"}}',
    "NaN": b'{"jobs": NaN}',
    "Infinity": b'{"jobs": -Infinity}',
    "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "too many digits": b'{"jobs": ' + b"9" * 5000 + b"}",
    "latin-1": '{"reason": "é"}'.encode("latin-1"),
    "UTF-16": '{"reason": "a"}'.encode("utf-16"),
    "UTF-16 without mark": '{"reason": "a"}'.encode("utf-16-le"),
    "UTF-32": '{"reason": "a"}'.encode("utf-32"),
    "a mark before UTF-8": b'\xef\xbb\xbf{"reason": "a"}',
    "half a character": b'{"reason": "\\ud800"}',
    "half a character as key": b'{"\\udfff": 1}',
    "overlong UTF-8": b'{"reason": "\xc0\xaf"}',
    "a raw control character": b'{"reason": "\x00"}',
    "packed": gzip.compress(b"{}"),
}


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_json_that_can_be_read_in_more_than_one_way_is_refused(
    operation: Operation, running_services, tokens
):
    for name, body in UNREADABLE.items():
        answer = _send(running_services[operation.service], operation, tokens, body)
        (error,) = problem(answer, 422)["errors"]
        assert error["field"] == "body", name


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_json_of_another_shape_is_refused(operation: Operation, running_services, tokens):
    for body in (b"[]", b"null", b'"x"', b"7", b"true", b"[{}]"):
        if body == b"null" and not operation.about["requestBody"].get("required"):
            continue
        problem(_send(running_services[operation.service], operation, tokens, body), 422)


Place = tuple[str, ...]


def _places(schema: Any, components: Any, kind: str, path: Place = ()) -> Iterator[Place]:
    """The places of a body where a value of this type of JSON may stand."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    for option in schema.get("anyOf", []):
        yield from _places(option, components, kind, path)
    for name, inner in schema.get("properties", {}).items():
        yield from _places(inner, components, kind, (*path, name))
    if schema.get("type") == "array":
        yield from _places(schema["items"], components, kind, (*path, "0"))
    if schema.get("type") == kind:
        yield path


def _places_of(operation: Operation, kind: str) -> list[Place]:
    content = operation.about["requestBody"]["content"]["application/json"]
    components = document(operation.service)["components"]["schemas"]
    return sorted(set(_places(content["schema"], components, kind)))


def _send_with(
    target: Target, operation: Operation, tokens: Any, place: Place, value: Any
) -> httpx.Response:
    """A body that is good but for the value at this place."""
    good = GOOD.get((operation.service, operation.path), {})
    return target.http.request(
        operation.method,
        samples.path_of(operation),
        json=_merged(good, _placed(place, value)),
        headers=_caller(operation, tokens),
    )


def _placed(path: Place, value: Any) -> Any:
    for name in reversed(path):
        value = [value] if name == "0" else {name: value}
    return value


HOSTILE: dict[str, Any] = {
    "NUL": "a\0b",
    "SQL": "'; DROP TABLE audit; --",
    "long": "x" * 100_000,
    "a number": 2**80,
    "an object": {"a": {"b": []}},
}


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_no_text_of_a_body_brings_a_service_down(operation: Operation, running_services, tokens):
    target = running_services[operation.service]

    for place, (name, value) in product(_places_of(operation, "string"), HOSTILE.items()):
        answer = _send_with(target, operation, tokens, place, value)
        assert answer.status_code < 500, (place, name, answer.text)
        if name in {"NUL", "long"}:
            problem(answer, 400, 403, 404, 409, 413, 422)


WRONG: dict[str, tuple[Any, ...]] = {
    "integer": (True, "1", "5_0", 1.0, 2**64, 10**40, -(2**64)),
    "boolean": (1, "true", "yes"),
}
"""By type of JSON, what a lenient reader would take for it, or a column could not hold."""


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_no_number_of_a_body_is_guessed_or_larger_than_what_keeps_it(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]

    for kind, values in WRONG.items():
        for place, value in product(_places_of(operation, kind), values):
            answer = _send_with(target, operation, tokens, place, value)
            fields = [error["field"] for error in problem(answer, 422)["errors"]]
            assert ".".join(place) in fields, (place, value)


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_an_unknown_field_of_a_body_is_refused_at_any_depth(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]

    for place in _places_of(operation, "object"):
        answer = _send_with(target, operation, tokens, (*place, "langage"), "fr")
        fields = [error["field"] for error in problem(answer, 422)["errors"]]
        assert ".".join([*place, "langage"]) in fields


GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("ideas", "/ideas"): samples.IDEA,
    ("ideas", "/ideas/{idea_id}"): samples.IDEA,
    ("funding", "/calls"): samples.CALL,
    ("funding", "/calls/{call_id}"): samples.CALL,
    ("registry", "/partners"): samples.INSTITUTION,
    ("registry", "/cooperatives"): samples.ENTRY,
    ("registry", "/accounts"): {
        "email": "a@b.example",
        "password": "a long enough pass phrase 7",
        "roles": ["juror"],
    },
    ("notifications", "/previews"): {"tracks": [{"criteria": {}}]},
}


def _merged(good: Any, change: Any) -> Any:
    if isinstance(good, dict) and isinstance(change, dict):
        return {**good, **{name: _merged(good.get(name), inner) for name, inner in change.items()}}
    if isinstance(good, list) and good and isinstance(change, list):
        return [_merged(good[0], change[0])]
    return change


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_packed_foreign_and_huge_bodies_are_refused_unread(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]
    bomb = gzip.compress(b" " * 10_000_000)

    for encoding in ("gzip", "br", "deflate, gzip", "GZIP", "identity, gzip"):
        answer = _send(target, operation, tokens, bomb, Content_Encoding=encoding)
        assert problem(answer, 415)["code"] == "packed-body"
    for charset in ("utf-16", "latin-1", "utf-7", "x"):
        kind = f"application/json; charset={charset}"
        answer = _send(target, operation, tokens, b"{}", Content_Type=kind)
        assert problem(answer, 415)["code"] == "foreign-charset"
    answer = _send(target, operation, tokens, b" " * (LIMIT + 1))
    assert problem(answer, 413)["code"] == "body-too-large"


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_a_refused_content_type_names_the_one_that_is_taken(
    operation: Operation, running_services, tokens
):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "x"):
        answer = _send(
            running_services[operation.service], operation, tokens, b'{"a": 1}', Content_Type=kind
        )
        body = problem(answer, 422)
        assert "Content-Type: application/json" in body["detail"], kind


@pytest.mark.parametrize("service", SERVICES)
def test_paths_methods_and_ids_that_do_not_exist_are_problems(service, running_services, tokens):
    http = running_services[service].http

    assert problem(http.get("/nowhere"), 404)["code"] == "no-such-path"
    assert problem(http.get("/status/"), 404)["code"] == "no-such-path"
    for method in ("DELETE", "BREW"):
        assert "GET" in problem(http.request(method, "/status"), 405)["detail"]


BY_ID = [op for op in operations() if op.needs_token and op.method == "get" and "_id}" in op.path]
NO_ID = ("7", "x" * 5000, "%00", "..%2f..%2fstatus", "null", "%ED%A0%80")


@pytest.mark.parametrize("operation", BY_ID, ids=str)
def test_an_id_that_is_none_is_a_problem(operation: Operation, running_services, tokens):
    caller = samples.headers(tokens, "operator")

    for wrong in NO_ID:
        path = re.sub(r"\{[^}]*\}", wrong, operation.path)
        answer = running_services[operation.service].http.get(path, headers=caller)
        problem(answer, 404, 422)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("sent", ["a b", "x" * 200, "a%0d%0aSet-Cookie: b=1", "é", '"', "<b>"])
def test_a_correlation_id_can_carry_nothing_into_headers_or_logs(service, running_services, sent):
    answer = running_services[service].http.get(
        "/healthz", headers={b"X-Correlation-ID": sent.encode()}
    )

    uuid.UUID(answer.headers["x-correlation-id"])
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("service", SERVICES)
def test_a_forged_host_is_never_repeated(service, running_services):
    for path in ("/status/", "/nowhere", "/openapi.json"):
        answer = running_services[service].http.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../register.csv", b"0" * 5_000_000)
    return packed.getvalue()


HEADER = "court,local_register_no,province,name_fr\n"
NO_REGISTER: dict[str, bytes] = {
    "empty": b"",
    "a zip, as spreadsheets are": _zipped(),
    "packed": gzip.compress(HEADER.encode() * 100_000),
    "UTF-16": HEADER.encode("utf-16"),
    "latin-1": (HEADER + "TPI Tiznit,1/2021,MA-TIZ,Coopérative\n").encode("latin-1"),
    "NUL": b"court\0,x\n",
    "a line without end": b"court," * 100_000,
    "a cell without end": (HEADER + '"' + "x\n" * 100_000).encode(),
    "formulas as columns": b"=cmd|' /C calc'!A0,+1\n1,2\n",
}


def _import(target: Target, tokens: Any, content: bytes, **more: str) -> httpx.Response:
    caller = samples.headers(tokens, "operator")
    return target.http.post(
        "/imports", content=content, headers={**caller, "Content-Type": "text/csv", **more}
    )


@pytest.mark.parametrize("name", NO_REGISTER)
def test_a_file_that_is_no_register_is_refused_or_reported(name, running_services, tokens):
    answer = _import(running_services["registry"], tokens, NO_REGISTER[name])

    if answer.status_code == 202:  # found out on the way: the report says so
        caller = samples.headers(tokens, "operator")
        report = samples.import_ended(running_services["registry"], answer, caller)
        assert (report["state"], bool(report["refusal"])) == ("refused", True), report
        assert report["rows_added"] == 0
    else:
        assert problem(answer, 422)["errors"][0]["field"] == "file"


def test_an_import_says_which_bodies_it_takes(running_services, tokens):
    target, good = running_services["registry"], HEADER.encode()

    for kind in ("application/zip", "application/json", "multipart/form-data; boundary=x"):
        assert problem(_import(target, tokens, good, **{"Content-Type": kind}), 415, 422)
    for encoding in ("gzip", "br"):
        packed = _import(target, tokens, gzip.compress(good), **{"Content-Encoding": encoding})
        assert problem(packed, 415)["code"] == "packed-body"
