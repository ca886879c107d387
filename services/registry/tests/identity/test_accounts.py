"""Accounts: operators list, change, disable and reset them; people change their own password."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from devkit.pytest_plugin import Api, Tokens
from registry.identity.usecases.passwords import is_password
from shared.kernel.data.revocations import Revocations

from ..builders import LONG_WAIT, audited_actions, headers_with_account
from .sign_in import repeat_failures

PASSWORD = "a long enough password"
OTHER = "another long password"
Json = dict[str, Any]
ACCOUNT = {
    "email": "juror-1@taawon.example",
    "password": PASSWORD,
    "roles": ["juror"],
}


async def made(api: Api, operator: dict[str, str], **changes: Any) -> Json:
    body = {
        "email": f"{uuid.uuid4().hex}@taawon.example",
        "password": PASSWORD,
        "roles": ["juror"],
        **changes,
    }
    answer = await api.http.post("/accounts", json=body, headers=operator)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def sign_in(api: Api, account: Json, password: str = PASSWORD) -> int:
    form = {"grant_type": "password", "username": account["email"], "password": password}
    return (await api.http.post("/token", data=form)).status_code


@pytest.mark.parametrize(
    ("account", "status"),
    [
        ({"roles": ["delegate"], "provinces": ["MA-TIZ"]}, 201),
        ({"roles": ["delegate"]}, 422),
        ({"roles": ["delegate"], "provinces": ["MA-XXX"]}, 422),
        ({"roles": ["partner"], "partner": "nobody"}, 404),
        ({"roles": ["cooperative"], "cooperatives": [str(uuid.UUID(int=5))]}, 404),
        ({"password": "short"}, 422),
        ({"email": "nobody"}, 422),
        ({"roles": []}, 422),
    ],
)
async def test_an_account_acts_only_for_what_exists(
    api: Api, operator, account: Json, status: int
) -> None:
    answer = await api.http.post("/accounts", json=ACCOUNT | account, headers=operator)

    assert answer.status_code == status, answer.text
    assert "password" not in answer.text or status == 422


async def test_an_address_has_only_one_account_however_it_is_written(api: Api, operator) -> None:
    await api.http.post("/accounts", json=ACCOUNT, headers=operator)
    shouted = ACCOUNT | {"email": ACCOUNT["email"].upper()}

    again = await api.http.post("/accounts", json=shouted, headers=operator)

    assert (again.status_code, again.json()["code"]) == (409, "account-exists")


async def test_accounts_are_listed_page_by_page_and_by_role(api: Api, operator) -> None:
    wanted = [await made(api, operator) for _ in range(3)]
    await made(api, operator, roles=["reviewer"])

    seen, after = [], ""
    while after is not None:
        url = f"/accounts?role=juror&limit=2{after and f'&after={after}'}"
        page = (await api.http.get(url, headers=operator)).json()
        seen += page["items"]
        after = page["next"]

    assert sorted(each["email"] for each in seen) == sorted(each["email"] for each in wanted)
    assert all("password" not in each for each in seen)


async def test_rights_that_belong_to_a_role_are_dropped_with_it_and_changes_are_audited(
    api: Api, operator
) -> None:
    account = await made(api, operator, roles=["delegate"], provinces=["MA-TIZ"])
    path = f"/accounts/{account['account_id']}"

    moved = await api.http.patch(path, json={"provinces": ["MA-AGD"]}, headers=operator)
    other = await api.http.patch(path, json={"roles": ["juror"]}, headers=operator)
    again = await api.http.patch(path, json={"roles": ["juror"]}, headers=operator)

    assert (moved.json()["roles"], moved.json()["provinces"]) == (["delegate"], ["MA-AGD"])
    assert (other.json()["roles"], other.json()["provinces"]) == (["juror"], [])
    assert again.status_code == 200
    audit = await api.http.get(f"/audit/{account['account_id']}", headers=operator)
    newest = audit.json()["items"][0]
    assert (newest["before"]["provinces"], newest["after"]["provinces"]) == (["MA-AGD"], [])
    assert len(audit.json()["items"]) == 3


async def test_rights_are_changed_only_as_they_were_read(api: Api, operator) -> None:
    path = f"/accounts/{(await made(api, operator))['account_id']}"
    read = (await api.http.get(path, headers=operator)).headers["ETag"]

    as_read = {**operator, "If-Match": read}
    first = await api.http.patch(path, json={"roles": ["reviewer"]}, headers=as_read)
    late = [
        await api.http.patch(path, json={"roles": ["holder"]}, headers=as_read),
        await api.http.post(f"{path}/disable", headers=as_read),
    ]
    newest = {**operator, "If-Match": first.headers["ETag"]}
    last = await api.http.post(f"{path}/disable", headers=newest)

    assert (read, first.headers["ETag"], last.headers["ETag"]) == ('"1"', '"2"', '"3"')
    assert [each.json()["code"] for each in late] == ["changed-meanwhile"] * 2
    assert (last.json()["roles"], last.json()["state"]) == (["reviewer"], "disabled")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"roles": ["delegate"]}, 422),
        ({"roles": ["partner"], "partner": "nobody"}, 404),
        ({"roles": ["delegate"], "provinces": ["MA-XXX"]}, 422),
        ({"roles": []}, 422),
        ({"email": "x@y.example"}, 422),
    ],
)
async def test_rights_that_do_not_fit_together_are_refused(
    api: Api, operator, changes: Json, status: int
) -> None:
    account = await made(api, operator)

    answer = await api.http.patch(
        f"/accounts/{account['account_id']}", json=changes, headers=operator
    )

    assert answer.status_code == status, answer.text


async def test_a_disabled_account_signs_in_no_more_until_it_is_enabled(api: Api, operator) -> None:
    account = await made(api, operator)
    path = f"/accounts/{account['account_id']}"

    disabled = await api.http.post(f"{path}/disable", headers=operator)
    twice = await api.http.post(f"{path}/disable", headers=operator)
    refused = await sign_in(api, account)
    await api.http.post(f"{path}/enable", headers=operator)

    assert (disabled.json()["state"], twice.status_code) == ("disabled", 409)
    assert (refused, await sign_in(api, account)) == (400, 200)
    assert await audited_actions(api, operator, account["account_id"]) == [
        "account enabled",
        "account disabled",
        "account created",
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/disable", None), ("PATCH", "", {"roles": ["juror"]})],
)
async def test_the_last_operator_is_neither_disabled_nor_demoted(
    api: Api, operator, tokens: Tokens, method: str, path: str, body: Json | None
) -> None:
    other = await headers_with_account(api, tokens, "operator")

    answers = [
        await api.http.request(method, f"/accounts/{who}{path}", json=body, headers=by)
        for who, by in (
            (subject_of(other), operator),
            (subject_of(operator), other),
            (subject_of(operator), operator),
        )
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 409]
    assert answers[1].json()["code"] == "token-revoked"
    assert answers[2].json()["code"] == "last-operator"


def subject_of(headers: dict[str, str]) -> str:
    """Whose token these headers carry."""
    claims = headers["Authorization"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])


CHANGES: list[tuple[str, str, Json | None]] = [
    ("POST", "/accounts", {"email": "x@y.example", "password": PASSWORD, "roles": ["operator"]}),
    ("PATCH", "/accounts/{own}", {"roles": ["operator"]}),
    ("POST", "/accounts/{own}/enable", None),
    ("POST", "/accounts/{other}/disable", None),
    ("PUT", "/accounts/{other}/password", {"password": OTHER}),
    ("POST", "/accounts/{own}/identities", {"issuer": "https://id.example", "subject": "x"}),
    ("DELETE", "/accounts/{other}/identities/{other}", None),
    ("POST", "/partners/oasis/clients", {"label": "x"}),
    ("DELETE", "/partners/oasis/clients/{other}", None),
]


@pytest.fixture
async def unaware(api: Api, operator: dict[str, str]) -> Api:
    """The registry where a process has not read yet which tokens were revoked since."""
    api.runtime.revocations = Revocations(api.sessions, fresh_seconds=float("inf"))
    await api.http.get("/accounts", headers=operator)
    return api


@pytest.mark.parametrize("fate", ["disabled", "demoted"])
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_former_operator_changes_nothing_with_a_token_that_is_not_refused_yet(
    unaware: Api, operator, tokens: Tokens, fate: str, method: str, path: str, body: Json | None
) -> None:
    former = await headers_with_account(unaware, tokens, "operator")
    own, other = f"/accounts/{subject_of(former)}", await made(unaware, operator)
    if fate == "disabled":
        await unaware.http.post(f"{own}/disable", headers=operator)
    else:
        await unaware.http.patch(own, json={"roles": ["juror"]}, headers=operator)

    answer = await unaware.http.request(
        method,
        path.format(own=subject_of(former), other=other["account_id"]),
        json=body,
        headers=former,
    )

    assert answer.status_code in {401, 403}, answer.text
    assert answer.json()["code"] in {"rights-ended", "token-revoked"}


async def test_a_disabled_account_does_not_change_its_password(
    unaware: Api, operator, tokens: Tokens
) -> None:
    account = await made(unaware, operator)
    own = tokens.headers("juror", subject=uuid.UUID(account["account_id"]))
    path = f"/accounts/{account['account_id']}"
    await unaware.http.post(f"{path}/disable", headers=operator)

    answer = await unaware.http.put(
        f"{path}/password", json={"password": OTHER, "current_password": PASSWORD}, headers=own
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "rights-ended")


async def test_a_token_of_an_unknown_account_creates_no_account(api: Api, tokens: Tokens) -> None:
    body = {"email": "x@y.example", "password": PASSWORD, "roles": ["juror"]}

    answer = await api.http.post("/accounts", json=body, headers=tokens.headers("operator"))

    assert (answer.status_code, answer.json()["code"]) == (403, "rights-ended")


async def test_an_erased_account_is_shown_without_its_address_and_changed_no_more(
    api: Api, operator
) -> None:
    account = await made(api, operator)
    request = {"kind": "erasure", "ground": "person", "reference": "1", "email": account["email"]}
    asked = await api.http.post("/persons/requests", json=request, headers=operator)
    await api.http.post(f"{asked.headers['location']}/confirm", headers=operator)
    path = f"/accounts/{account['account_id']}"

    seen = [await api.http.get(each, headers=operator) for each in ("/accounts", path)]
    changes = [
        await api.http.request(method, path + end, json=body, headers=operator)
        for method, end, body in (
            ("PATCH", "", {"roles": ["operator"]}),
            ("POST", "/enable", None),
            ("POST", "/disable", None),
            ("PUT", "/password", {"password": OTHER}),
            ("POST", "/identities", {"issuer": "https://id.example", "subject": "x"}),
        )
    ]

    assert [answer.status_code for answer in seen] == [200, 200]
    assert (seen[1].json()["email"], seen[1].json()["state"]) == (None, "disabled")
    assert {(answer.status_code, answer.json()["code"]) for answer in changes} == {
        (404, "no-such-account")
    }


async def test_an_operator_resets_a_password_and_nobody_waits_any_more(api: Api, operator) -> None:
    account = await made(api, operator)
    await sign_in(api, account, "wrong")
    await repeat_failures(api, LONG_WAIT)
    waits = await sign_in(api, account)

    answer = await api.http.put(
        f"/accounts/{account['account_id']}/password", json={"password": OTHER}, headers=operator
    )

    assert (waits, answer.status_code) == (429, 204)
    assert await sign_in(api, account) == 400
    assert await sign_in(api, account, OTHER) == 200
    assert (await audited_actions(api, operator, account["account_id"]))[0] == "password reset"


async def test_people_change_their_own_password_knowing_the_present_one(
    api: Api, operator, tokens: Tokens
) -> None:
    account = await made(api, operator)
    own = tokens.headers("juror", subject=uuid.UUID(account["account_id"]))
    path = f"/accounts/{account['account_id']}/password"

    answers = [
        await api.http.put(path, json=body, headers=own)
        for body in (
            {"password": OTHER},
            {"password": OTHER, "current_password": "wrong"},
            {"password": "short", "current_password": PASSWORD},
            {"password": OTHER, "current_password": PASSWORD},
        )
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 422, 204]
    assert answers[1].json()["errors"][0]["field"] == "current_password"
    assert await sign_in(api, account, OTHER) == 200
    assert (await audited_actions(api, operator, account["account_id"]))[0] == "password changed"


async def test_guessing_the_present_password_is_slowed_down_and_sign_ins_go_on(
    api: Api, operator, tokens: Tokens
) -> None:
    account = await made(api, operator)
    own = tokens.headers("juror", subject=uuid.UUID(account["account_id"]))
    path = f"/accounts/{account['account_id']}/password"
    await api.http.put(path, json={"password": OTHER, "current_password": "guess"}, headers=own)
    await repeat_failures(api, LONG_WAIT)

    answer = await api.http.put(
        path, json={"password": OTHER, "current_password": PASSWORD}, headers=own
    )

    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
    assert await sign_in(api, account) == 200


async def test_what_strangers_guess_keeps_nobody_from_changing_the_own_password(
    api: Api, operator, tokens: Tokens
) -> None:
    account = await made(api, operator)
    own = tokens.headers("juror", subject=uuid.UUID(account["account_id"]))
    await sign_in(api, account, "guess")
    await repeat_failures(api, LONG_WAIT)
    waits = await sign_in(api, account, "guess")

    answer = await api.http.put(
        f"/accounts/{account['account_id']}/password",
        json={"password": OTHER, "current_password": PASSWORD},
        headers=own,
    )

    assert (waits, answer.status_code) == (429, 204)


async def test_nobody_signs_in_with_the_empty_hash_of_an_erased_account():
    assert not await is_password("nobody has this password", "")
    assert not await is_password("", "")


async def test_a_person_may_read_the_audit_of_their_own_account(api, operator, tokens):
    account_id = (await made(api, operator))["account_id"]
    path = f"/audit/{account_id}"

    own = await api.http.get(path, headers=tokens.headers("juror", subject=uuid.UUID(account_id)))
    other = await api.http.get(path, headers=tokens.headers("juror"))

    assert [each["action"] for each in own.json()["items"]] == ["account created"]
    assert other.status_code in (403, 404)


async def test_an_e_mail_is_one_account_in_every_spelling(
    api: Api, operator: dict[str, str]
) -> None:
    account = await made(api, operator, email="zoé@بريد.example")
    twin = {"email": "\u200fZOE\u0301@xn--ngbof4h.example"}

    again = await api.http.post("/accounts", json=ACCOUNT | twin, headers=operator)

    assert again.status_code == 409
    assert await sign_in(api, account | twin) == 200
