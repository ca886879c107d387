"""Refusals are problems (RFC 9457) that name the wrong field and the remedy."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from fastapi import HTTPException

from devkit.pytest_plugin import Api, Tokens
from shared.errors import Kind
from shared.kernel.web import problems

from .made_up_service import is_problem


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 422, "invalid"),
        ("missing", 404, "not-found"),
        ("forbidden", 403, "forbidden"),
        ("conflict", 409, "wall-is-full"),
        ("stale", 409, "changed-meanwhile"),
        ("bug", 500, "our-fault"),
    ],
)
async def test_each_refusal_has_its_status_and_code(client: Api, name, status, code):
    response = await client.http.get(f"/raises/{name}", headers={"X-Correlation-ID": "c-1"})

    assert is_problem(response, status, code)
    assert response.json()["correlation_id"] == "c-1"
    assert "0600000000" not in response.text


def test_every_kind_of_refusal_has_its_own_status():
    assert set(problems.STATUS) == set(Kind)
    assert len(set(problems.STATUS.values())) == len(Kind)


async def test_a_refusal_names_the_field_and_the_remedy(client: Api):
    one = await client.http.get("/raises/invalid")
    two = await client.http.get("/raises/many")

    assert one.json()["errors"] == [
        {"field": "budget_centimes", "message": "budget is above 100: ask for less"}
    ]
    assert [error["field"] for error in two.json()["errors"]] == ["a", "b.0"]


async def test_a_malformed_request_names_each_field_and_repeats_no_value(client: Api):
    response = await client.http.post(
        "/budgets", json={"title": "xy", "budget_centimes": "0600000000x"}
    )

    assert is_problem(response, 422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == ["title", "budget_centimes"]
    assert "0600000000" not in response.text


async def test_a_body_that_is_no_json_says_where(client: Api):
    response = await client.http.post(
        "/budgets", content=b'{"title": ', headers={"content-type": "application/json"}
    )

    (error,) = response.json()["errors"]
    assert is_problem(response, 422, "invalid-request")
    assert (error["field"], "character" in error["message"]) == ("body", True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "no-such-path"), ("GET", "/stones", 405, "method-not-allowed")],
)
async def test_unknown_paths_and_methods_are_problems_too(client: Api, method, path, status, code):
    assert is_problem(await client.http.request(method, path), status, code)


async def test_without_a_token_the_answer_says_where_to_get_one(client: Api):
    response = await client.http.get("/me")

    assert is_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "POST /token" in response.json()["detail"]


async def test_a_token_names_the_caller(client: Api, tokens: Tokens):
    subject = uuid4()

    response = await client.http.get("/me", headers=tokens.headers(subject=subject))

    assert response.json() == str(subject)


@pytest.mark.parametrize("end", ["%0A", "%0D", "%00", "%7F", "%C2%85"])
async def test_a_path_with_a_control_character_does_not_exist(client: Api, end):
    response = await client.http.get(f"/healthz{end}")

    assert is_problem(response, 404, "no-such-path")


async def test_an_error_of_the_framework_is_said_in_our_words():
    response = await problems._http(None, HTTPException(418, "no {coffee} here"))

    assert json.loads(response.body)["detail"].startswith("The request can't be read")
