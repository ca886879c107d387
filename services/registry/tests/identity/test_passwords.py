"""Passwords that are guessed first are refused wherever one is set."""

from __future__ import annotations

import uuid

import pytest
from typer.testing import CliRunner

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from registry.identity.cli import app as accounts
from registry.identity.usecases.passwords import WeakPassword, check_password

GOOD = "a long enough password"
COMMON = "Password2026!"


@pytest.mark.parametrize(
    "password",
    [
        "1q2w3e4r5t6y",
        "QWERTY123456",
        "passwordpassword",
        "Password-2026!",
        "2026 i love you",
        "Ｐａｓｓｗｏｒｄ２０２６！",
        "123456789012",
        "987654321098",
        "abcabcabcabc",
        "............",
        "taawontaawon",
        "تعاون٢٠٢٦٢٠٢٦",
    ],
)
def test_what_is_guessed_first_is_refused_with_field_and_remedy(password: str) -> None:
    with pytest.raises(WeakPassword, match="take four words") as refused:
        check_password(password)

    assert [problem.field for problem in refused.value.problems] == ["password"]
    assert password not in refused.value.detail


@pytest.mark.parametrize(
    "password",
    [GOOD, "correct horse battery staple", "482759017364", "x9$kQ2!mZ7#pL", "سوق الزيت قبل الفجر"],
)
def test_what_nobody_guesses_first_is_taken(password: str) -> None:
    check_password(password)


async def test_no_account_is_made_with_a_common_password(api: Api, operator) -> None:
    body = {"email": "x@taawon.example", "password": COMMON, "roles": ["juror"]}

    answer = await api.http.post("/accounts", json=body, headers=operator)

    assert (answer.status_code, answer.json()["code"]) == (422, "weak-password")
    assert answer.json()["errors"][0]["field"] == "password"
    assert COMMON not in answer.text


async def test_no_password_is_changed_or_reset_to_a_common_one(
    api: Api, operator, tokens: Tokens
) -> None:
    body = {"email": "x@taawon.example", "password": GOOD, "roles": ["juror"]}
    made = (await api.http.post("/accounts", json=body, headers=operator)).json()
    own = tokens.headers("juror", subject=uuid.UUID(made["account_id"]))
    path = f"/accounts/{made['account_id']}/password"

    answers = [
        await api.http.put(path, json={"password": COMMON}, headers=operator),
        await api.http.put(path, json={"password": COMMON, "current_password": GOOD}, headers=own),
    ]

    assert [answer.json()["code"] for answer in answers] == ["weak-password"] * 2
    form = {"grant_type": "password", "username": "x@taawon.example", "password": GOOD}
    assert (await api.http.post("/token", data=form)).status_code == 200


def test_the_first_operator_has_no_common_password(
    databases: pytest_plugin.TestDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", databases.fresh("registry"))
    monkeypatch.setenv("TAAWON_SEAL_KEYS", pytest_plugin.SEAL_KEY)
    command = ["bootstrap", "--email", "x@taawon.example", "--password-stdin"]

    refused = CliRunner().invoke(accounts, command, input=f"{COMMON}\n")
    taken = CliRunner().invoke(accounts, command, input=f"{GOOD}\n")

    assert "take four words" in str(refused.exception)
    assert taken.exit_code == 0
