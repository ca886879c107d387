"""What every OpenAPI document of ours says, written in one place: refusals, security, servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Kind

from .problems import STATUS

PROBLEM = "application/problem+json"
MEANING = {
    Kind.REFUSED: "What was sent can't be taken as it is.",
    Kind.UNAUTHENTICATED: (
        "No token, or one that is not valid: get one from POST /token of the registry."
    ),
    Kind.FORBIDDEN: "The token does not allow this.",
    Kind.NOT_FOUND: "There is no such thing, or not for you.",
    Kind.CONFLICT: "The present state does not allow this.",
    Kind.TOO_SLOW: "The request took too long to arrive; the connection is closed.",
    Kind.TOO_LARGE: "The body is too large.",
    Kind.FOREIGN_FORMAT: "The body is packed, or not of the content type that this route takes.",
    Kind.INVALID: "Fields are wrong: `errors` names each with its remedy.",
    Kind.PRECONDITION_REQUIRED: (
        "`If-Match` is missing: read the thing first, and send the ETag that came with it."
    ),
    Kind.TOO_MANY_REQUESTS: "Too many requests: wait as long as `Retry-After` says.",
    Kind.AWAY: "The database can't be reached just now. Nothing was changed; try again.",
}
SUCCESS = {
    "200": "What was asked for.",
    "201": "It was made; the body is what was made.",
    "202": "It was begun, and goes on after this answer.",
    "204": "It was done; there is no body.",
}
"""What the framework calls "Successful Response"."""
OPERATIONS_TAG = "Health, metrics, status, traces, audit and replays: every service has these."
ABOUT = """\
Every operation needs a token from `POST /token` of the registry, unless it says otherwise.

A refusal is `application/problem+json` (RFC 9457): `code` names the rule that refused, `errors` the
wrong fields with their remedies. It is said in the language that `Accept-Language` prefers, or in
English; `code` stays the same. Whoever changes something sends in `If-Match` the version that was
read. HEAD is answered wherever GET is, and OPTIONS everywhere."""
LICENSE = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
SERVERS = [{"url": "/", "description": "The service that this document was read from."}]
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})


class ProblemField(BaseModel):
    """One thing wrong: where, what to do about it, and what was given where that may be shown."""

    field: str
    message: str
    given: str | None = Field(default=None, description="Left out of what may be somebody's own.")


class Problem(BaseModel):
    """RFC 9457. `code` names the rule that refused; quote `correlation_id` when you report it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    code: str
    detail: str
    correlation_id: str
    errors: list[ProblemField] = Field(default=[], description="Left out where no field is wrong.")


def install(app: FastAPI, about: str, tags: Mapping[str, str]) -> None:
    """Complete the app's OpenAPI document: refusals, servers, security, and words for its readers.

    `about` says what the service is for, `tags` what the operations of each tag are about.
    """
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain(), about, tags)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI asks for


def _complete(document: dict[str, Any], about: str, tags: Mapping[str, str]) -> None:
    document["info"] |= {"description": f"{about}\n\n{ABOUT}".strip(), "license": LICENSE}
    document["servers"] = SERVERS
    known = {"operations": OPERATIONS_TAG, **tags}
    document["tags"] = [{"name": name, "description": text} for name, text in known.items()]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_problem_schemas())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                _document(path, method, operation)


def _problem_schemas() -> dict[str, Any]:
    made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**made.pop("$defs"), "Problem": made}


def _document(path: str, method: str, operation: dict[str, Any]) -> None:
    operation.setdefault("security", [])
    responses = operation.setdefault("responses", {})
    for status in SUCCESS.keys() & responses.keys():
        if responses[status]["description"] == "Successful Response":
            responses[status]["description"] = SUCCESS[status]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    for kind in _refusals(path, method, operation):
        response = responses.setdefault(str(STATUS[kind]), {"description": MEANING[kind]})
        content = response.setdefault("content", {})
        content.setdefault(PROBLEM, {"schema": {"$ref": "#/components/schemas/Problem"}})


def _refusals(path: str, method: str, operation: dict[str, Any]) -> list[Kind]:
    """The refusals that a request of this shape can meet, beside those that the route declares."""
    body = operation.get("requestBody")
    reasons = {
        Kind.REFUSED: body,
        Kind.UNAUTHENTICATED: operation.get("security"),
        Kind.FORBIDDEN: operation.get("security"),
        Kind.NOT_FOUND: "{" in path or body,
        Kind.CONFLICT: method not in {"get", "head"},
        Kind.TOO_SLOW: True,
        Kind.TOO_LARGE: True,  # any request may carry a body
        Kind.FOREIGN_FORMAT: True,
        Kind.INVALID: True,
        Kind.PRECONDITION_REQUIRED: _takes_version(operation),
        Kind.TOO_MANY_REQUESTS: True,
        Kind.AWAY: True,
    }
    return [kind for kind, reason in reasons.items() if reason]


def _takes_version(operation: dict[str, Any]) -> bool:
    """Whether the route changes something that has a version, so that it asks which was read."""
    return any(each["name"] == "if-match" for each in operation.get("parameters", []))
