"""Whoever changes something says which version of it was read."""

from __future__ import annotations

import pytest

from . import samples
from .problems import problem
from .running_services import Operation, operations

OWN = {"funding": "partner", "ideas": "cooperative"}
WITH_VERSION = [
    operation
    for operation in operations()
    if any(each["name"] == "if-match" for each in operation.parameters("header"))
]
ENDED = "It ends a thing for good, whatever became of it; a second end is refused or does nothing."
WITHOUT_VERSION = {
    "PUT /accounts/{account_id}/password": "Nobody reads a password, to decide on an older one.",
    "PUT /cooperatives/{cooperative_id}/alerts/{number}/state": "Only the account itself sets it.",
    "POST /token": "It changes nothing that anybody reads.",
    "POST /previews": "It changes nothing.",
    "POST /persons/requests/{request_id}/report": "It changes nothing but the audit.",
    "DELETE /replays/{run}": ENDED,
    "DELETE /subscriptions/{subscription_id}": ENDED,
    "DELETE /partner-queues/{slug}": ENDED,
    "DELETE /partners/{slug}/clients/{client_id}": ENDED,
    "DELETE /accounts/{account_id}/identities/{identity_id}": ENDED,
    "DELETE /persons/cooperatives/{cooperative_id}/settled-contact": ENDED,
}
"""Changes that ask for no version, and why nobody can undo unseen what somebody else did."""


@pytest.mark.parametrize("operation", WITH_VERSION, ids=str)
def test_a_change_that_says_no_version_is_refused_with_the_remedy(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]
    caller = samples.headers(tokens, OWN.get(operation.service, "operator"))
    path = samples.path_of(operation)

    answer = target.http.request(operation.method, path, json={}, headers=caller)

    body = problem(answer, 428)
    assert (body["code"], body["errors"][0]["field"]) == ("version-required", "If-Match")
    assert "ETag" in body["detail"]


def test_every_change_asks_for_the_version_that_was_read_or_says_why_not():
    changes = {
        f"{operation.method.upper()} {operation.path}"
        for operation in operations()
        if operation.method not in {"get", "head"}
        and not {"if-match", "idempotency-key"} & headers_of(operation)
    }

    assert changes == WITHOUT_VERSION.keys()


def headers_of(operation: Operation) -> set[str]:
    return {each["name"] for each in operation.parameters("header")}
