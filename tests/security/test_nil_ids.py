"""The nil UUID names nothing: every route that takes an id refuses it, by the name of the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import samples
from .problems import problem
from .running_services import Operation, document, operations

NIL = "00000000-0000-0000-0000-000000000000"


def _kinds(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for option in schema.get("anyOf", []):
        yield from _kinds(option)


def _is_id(schema: dict[str, Any]) -> bool:
    return any(kind.get("format") == "uuid" for kind in _kinds(schema))


def _lists_ids(schema: dict[str, Any]) -> bool:
    return any(_is_id(kind.get("items", {})) for kind in _kinds(schema))


PARAMETERS = [
    (operation, parameter["in"], parameter["name"])
    for operation in operations()
    for place in ("path", "query", "header")
    for parameter in operation.parameters(place)
    if _is_id(parameter["schema"]) or _lists_ids(parameter["schema"])
]


def _json_bodies() -> Iterator[tuple[Operation, str, Any]]:
    """Each field of a JSON body that takes an id or a list of them, with the nil id in it."""
    for operation in operations():
        content = operation.about.get("requestBody", {}).get("content", {})
        body = content.get("application/json", {}).get("schema", {})
        for kind in _kinds(body):
            name = kind.get("$ref", "").rpartition("/")[2]
            schemas = document(operation.service)["components"]["schemas"]
            for field, schema in schemas.get(name, {}).get("properties", {}).items():
                if _is_id(schema):
                    yield operation, field, NIL
                elif _lists_ids(schema):
                    yield operation, field, [NIL]


FIELDS = list(_json_bodies())


def _caller(operation: Operation, tokens: Any) -> dict[str, str]:
    partner = operation.path.startswith(("/feed", "/subscriptions", "/partner-queue"))
    return samples.headers(tokens, "partner" if partner else "operator") | {"If-Match": "*"}


def test_ids_are_found_in_every_place():
    assert {place for _, place, _ in PARAMETERS} == {"path", "query"}
    fields = {field for _, field, _ in FIELDS}
    assert fields >= {"on_behalf_of", "event_id", "cooperatives", "account_ids", "cooperative_ids"}


@pytest.mark.parametrize(("operation", "place", "name"), PARAMETERS, ids=str)
def test_a_parameter_that_takes_an_id_refuses_the_nil_one(
    operation: Operation, place: str, name: str, running_services, tokens
):
    target, path = running_services[operation.service], samples.path_of(operation)
    headers, query = _caller(operation, tokens), {}
    if place == "path":
        known = operation.path.replace(f"{{{name}}}", NIL)
        path = samples.path_of(Operation(operation.service, "get", known, operation.about))
    elif place == "query":
        query = {name: NIL}
    else:
        headers |= {name: NIL}

    body: dict[str, Any] = {"json": {}} if "requestBody" in operation.about else {}

    answer = target.http.request(
        operation.method.upper(), path, params=query, headers=headers, **body
    )

    errors = {error["field"]: error["message"] for error in problem(answer, 422)["errors"]}
    named = {field.partition(".")[0].lower(): message for field, message in errors.items()}
    assert "nil UUID" in named[name.lower()], errors


@pytest.mark.parametrize(("operation", "field", "value"), FIELDS, ids=str)
def test_a_field_that_takes_an_id_refuses_the_nil_one(
    operation: Operation, field: str, value: Any, running_services, tokens
):
    answer = running_services[operation.service].http.request(
        operation.method.upper(),
        samples.path_of(operation),
        json={field: value},
        headers=_caller(operation, tokens),
    )

    errors = {error["field"]: error["message"] for error in problem(answer, 422)["errors"]}
    named = {field.partition(".")[0]: message for field, message in errors.items()}
    assert "nil UUID" in named[field], errors


def test_a_token_on_behalf_of_nobody_is_refused(running_services, tokens):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = f"grant_type=urn:ietf:params:oauth:grant-type:token-exchange&on_behalf_of={NIL}"

    answer = running_services["registry"].http.post("/token", content=form, headers=headers)

    assert answer.status_code in {400, 422}
    assert "nil UUID" in answer.text
