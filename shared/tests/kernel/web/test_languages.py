"""Errors come in the language that the request asks for, name the field and show the value."""

from __future__ import annotations

import re

import pytest

from devkit.pytest_plugin import Api, Tokens
from shared.kernel.web.validation import shown

ARABIC = re.compile("[\u0600-\u06ff]")


async def refused(client: Api, language: str | None, body: object) -> dict:
    headers = {"Accept-Language": language} if language else {}
    answer = await client.http.post("/budgets", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["vary"] == "Accept-Language"
    assert answer.headers["content-language"] == (language or "en")[:2]
    return dict(answer.json())


async def test_an_error_is_said_in_english_where_no_language_is_asked_for(client: Api):
    body = await refused(client, None, {"title": "xy", "budget_centimes": 0})

    assert (body["code"], body["title"]) == ("invalid-request", "invalid request")
    assert body["errors"] == [
        {"field": "title", "message": "too short: its least length is 3", "given": "xy"},
        {"field": "budget_centimes", "message": "give more than 0", "given": "0"},
    ]


async def test_an_error_is_said_in_french(client: Api):
    body = await refused(client, "fr-MA,fr;q=0.9", {"title": "xy", "budget_centimes": 5})

    assert (body["code"], body["title"]) == ("invalid-request", "requête non valable")
    assert body["detail"] == "title : trop court : la longueur minimale est 3"


async def test_an_error_is_said_in_arabic(client: Api):
    body = await refused(client, "ar", {"title": "xy", "budget_centimes": 5})

    assert ARABIC.search(body["title"])
    assert body["errors"][0]["message"] == "قصير جدا: أدنى طول هو 3"


@pytest.mark.parametrize("name", ["conflict", "forbidden", "stale", "bug"])
async def test_a_refusal_and_a_defect_are_said_in_arabic(client: Api, name: str):
    answer = await client.http.get(f"/raises/{name}", headers={"Accept-Language": "ar"})

    if name != "conflict":  # of the made-up service, which has no catalogue
        assert ARABIC.search(answer.json()["detail"])
    assert answer.headers["content-language"] == "ar"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/me"), ("GET", "/page?aftr=x")]
)
async def test_what_the_kernel_refuses_is_said_in_french(client: Api, method: str, path: str):
    answer = await client.http.request(method, path, headers={"Accept-Language": "fr"})

    assert answer.status_code >= 400
    assert answer.headers["content-language"] == "fr"
    assert not re.search(r"\b(the|is|there)\b", answer.json()["detail"])


async def test_head_and_options_are_answered_as_ever(client: Api, tokens: Tokens):
    asked = {"Accept-Language": "ar", **tokens.headers()}
    head = await client.http.head("/stones/3", headers=asked)
    options = await client.http.options("/stones/3", headers=asked)
    refused = await client.http.head("/me", headers={"Accept-Language": "ar"})

    assert (head.status_code, head.headers["etag"], head.content) == (200, '"3"', b"")
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    assert (refused.status_code, refused.headers["content-language"]) == (401, "ar")


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("title", "x" * 100, "x" * 40 + "…"),
        ("tracks.0.min_share", "2", "2"),
        ("as_of_on", "2031-13-45", "2031-13-45"),
        ("deadline.local", "2027-09-01T25:00", "2027-09-01T25:00"),
        ("title", "a\x1b]0;b", "a<U+001B>]0;b"),
        ("email", "x", None),
        ("contact.phone", "06", None),
        ("ice", "12", None),
        ("new_password", "abc", None),
        ("subject_token", "abc", None),
        ("reference", "me@example.org", None),
        ("reference", "+212 6 12 34 56 78", None),
    ],
)
def test_a_value_is_shown_shortened_and_never_a_personal_one(field, value, seen):
    assert shown(field, value) == seen
