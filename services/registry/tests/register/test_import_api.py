"""Importing a register file over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from devkit.pytest_plugin import Api, TestDatabases, Tokens, api
from registry.app import create_app

from ..builders import People, a_file, a_row, many_rows


async def uploaded(api: Api, headers: dict[str, str], content: bytes) -> httpx.Response:
    return await api.http.post(
        "/imports?source=test.csv", content=content, headers={**headers, "content-type": "text/csv"}
    )


async def ended(api: Api, answer: httpx.Response, headers: dict[str, str]) -> dict[str, Any]:
    """The report of an import that was started, once it has ended."""
    assert answer.status_code == 202, answer.text
    await api.app.state.imports.ended()
    report = await api.http.get(answer.headers["location"], headers=headers)
    return dict(report.json())


async def test_an_import_answers_at_once_and_its_report_is_read_at_its_location(
    api: Api, people: People
) -> None:
    rows = [*many_rows(501, "TPI Tiznit"), a_row(local_register_no="x", province="Nowhere")]

    answer = await uploaded(api, people.operator, a_file(*rows))

    started = answer.json()
    assert answer.headers["location"] == f"/imports/{started['import_id']}"
    assert (started["state"], started["rows_read"]) == ("running", 0)
    report = await ended(api, answer, people.operator)
    assert (report["state"], report["rows_added"], report["rows_refused"]) == ("finished", 501, 1)
    assert (report["problems_total"], len(report["problems"])) == (1, 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "file-refused"), (b"a,b\n1,2\n", "file-refused"), (b"\xff\xfe", "file-refused")],
)
async def test_an_unreadable_file_is_a_problem(
    api: Api, people: People, content: bytes, code: str
) -> None:
    answer = await uploaded(api, people.operator, content)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("day", ["2999-01-01", "1899-12-31"])
async def test_a_file_can_not_be_true_as_of_a_day_to_come_or_before_1900(
    api: Api, people: People, day: str
) -> None:
    answer = await api.http.post(
        f"/imports?as_of_on={day}",
        content=a_file(a_row()),
        headers={**people.operator, "content-type": "text/csv"},
    )

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, "as_of_on")
    assert "check the year" in error["message"]


async def test_an_import_larger_than_the_limit_is_refused(
    people: People, tokens: Tokens, databases: TestDatabases
) -> None:
    url = databases.migrated("registry")
    async with api(create_app, "registry", url, tokens, max_import_bytes=2_000) as small:
        answer = await uploaded(small, people.operator, a_file(*many_rows(50, "TPI Tiznit")))

    assert answer.status_code == 413


async def test_an_import_of_another_kind_of_body_is_refused(api: Api, people: People) -> None:
    answer = await api.http.post("/imports", json={}, headers=people.operator)

    assert answer.status_code == 415


async def test_no_large_body_is_read_without_a_token(api: Api) -> None:
    read: list[int] = []

    async def parts() -> AsyncIterator[bytes]:
        for number in range(8):
            read.append(number)
            yield b" " * 128 * 1024

    answers = {
        kind: await api.http.post("/imports", content=parts(), headers={"content-type": kind})
        for kind in ("text/csv", "multipart/form-data; boundary=x", "application/json")
    }

    assert [answer.status_code for answer in answers.values()] == [401, 401, 401]
    assert read == []


async def reports(api: Api, people: People, content: bytes) -> dict[str, httpx.Response]:
    """The report of one import in each language."""
    answer = await uploaded(api, people.operator, content)
    await ended(api, answer, people.operator)
    return {
        language: await api.http.get(
            answer.headers["location"], headers={**people.operator, "Accept-Language": language}
        )
        for language in ("en", "fr", "ar")
    }


async def test_a_report_names_columns_as_the_file_does_in_the_language_of_its_reader(
    api: Api, people: People
) -> None:
    row = a_row(members_total="10", members_women="11")
    content = (
        a_file(row).replace(b"members_total", b"Effectif").replace(b"members_women", b"Femmes")
    )

    answers = await reports(api, people, content)

    problems = {language: answer.json()["problems"][0] for language, answer in answers.items()}
    assert {each["column"] for each in problems.values()} == {"members_women"}
    assert {each["header"] for each in problems.values()} == {"Femmes"}
    assert {language: each["reason"] for language, each in problems.items()} == {
        "en": "11 is more than Effectif (10)",
        "fr": "11 est plus que Effectif (10)",
        "ar": "11 أكثر من Effectif (10)",
    }
    assert problems["fr"]["suggestion"] == "corrigez les effectifs"
    assert [each.headers["content-language"] for each in answers.values()] == ["en", "fr", "ar"]
    assert {each.headers["vary"] for each in answers.values()} == {"Accept-Language"}


async def test_why_a_file_was_refused_is_said_in_the_language_of_its_reader(
    api: Api, people: People
) -> None:
    content = a_file(*many_rows(501, "TPI Safi")) + b"\xff\n"

    answers = await reports(api, people, content)

    said = {language: answer.json()["refusal"] for language, answer in answers.items()}
    assert "is not UTF-8" in said["en"]
    assert "n'est pas de l'UTF-8" in said["fr"]
    assert "ليس UTF-8" in said["ar"]
    assert {answer.json()["state"] for answer in answers.values()} == {"refused"}


@pytest.mark.parametrize(
    ("language", "said"), [("fr", "le fichier est vide"), ("ar", "الملف فارغ")]
)
async def test_a_file_that_is_refused_at_once_is_so_in_the_language_of_its_sender(
    api: Api, people: People, language: str, said: str
) -> None:
    headers = {**people.operator, "Accept-Language": language}

    answer = await uploaded(api, headers, b"")

    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["message"]
