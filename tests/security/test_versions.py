"""Whoever changes something says which version of it was read."""

from __future__ import annotations

import re

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
STEP = re.compile(r"^/(ideas|calls|cooperatives|accounts)/\{[a-z]+_id\}(/[a-z]+)?$")
ADDED = {"registry-POST-/accounts/{account_id}/identities"}
SET = {"registry-PUT-/accounts/{account_id}/password"}
"""Nobody reads a password, so that it could be decided on an older one."""


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


def test_every_change_of_what_has_a_version_asks_for_it():
    changes = {
        str(operation)
        for operation in operations("ideas", "funding", "registry")
        if operation.method != "get" and STEP.search(operation.path)
    }

    assert changes - ADDED - SET == {str(operation) for operation in WITH_VERSION}
