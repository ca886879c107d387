"""Where rights end or shrink, older tokens are revoked with the change; no token slips by."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import select, text

from devkit.pytest_plugin import Api, Tokens, eventually
from registry.identity.usecases import account_management, accounts, api_clients
from registry.partners import usecases as partner_usecases
from shared.contracts.base import Localized
from shared.contracts.registry import TokensRevoked
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import Role
from shared.kernel.data import revocations
from shared.kernel.data.database import moment
from shared.kernel.data.tables import OutboxRow

from .sign_in import PASSWORD, SEALER, request_token, signed_in

Json = dict[str, Any]
OTHER = "another correct horse"


async def revoked(api: Api, subject: str | uuid.UUID) -> list[Json]:
    """The events that say that tokens of this subject are revoked, the oldest first."""
    query = select(OutboxRow.body).where(
        OutboxRow.topic == TokensRevoked.topic, OutboxRow.aggregate_id == uuid.UUID(str(subject))
    )
    async with api.sessions() as session:
        return [orjson.loads(body) for body in await session.scalars(query.order_by(OutboxRow.seq))]


async def an_account(api: Api, operator: dict[str, str], **rights: Any) -> str:
    body = {"email": f"{uuid.uuid4().hex}@x.example", "password": PASSWORD, **rights}
    answer = await api.http.post("/accounts", json=body, headers=operator)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["account_id"])


async def a_partner(api: Api, operator: dict[str, str], slug: str) -> None:
    body = {"slug": slug, "name": {"fr": "Essai", "ar": "تجربة"}, "kind": "bank"}
    await api.http.post("/partners", json=body, headers=operator)


MANY = {"roles": ["operator", "delegate", "partner"], "provinces": ["MA-TIZ", "MA-TNG"]}
RIGHTS: list[tuple[Json, list[str | None]]] = [
    ({"roles": ["delegate", "partner"]}, [None]),
    ({"provinces": ["MA-TIZ"]}, [None]),
    ({"roles": ["operator", "delegate"]}, ["oasis"]),
    ({"partner": "atlas"}, ["oasis"]),
    ({"provinces": ["MA-TIZ", "MA-TNG", "MA-CHT"]}, []),
    ({"roles": ["operator", "delegate", "partner", "juror"]}, []),
    ({}, []),
]


@pytest.mark.parametrize(("change", "partners"), RIGHTS)
async def test_tokens_are_revoked_where_an_account_may_do_less_and_nowhere_else(
    api: Api, operator, change: Json, partners: list[str | None]
) -> None:
    for slug in ("oasis", "atlas"):
        await a_partner(api, operator, slug)
    account = await an_account(api, operator, partner="oasis", **MANY)

    answer = await api.http.patch(f"/accounts/{account}", json=change, headers=operator)

    assert answer.status_code == 200, answer.text
    assert [event["partner"] for event in await revoked(api, account)] == partners


async def test_a_disabled_account_is_revoked_and_its_token_from_afterwards_is_good(
    api: Api, operator, tokens: Tokens
) -> None:
    await a_partner(api, operator, "oasis")
    account = await an_account(api, operator, partner="oasis", roles=["partner"])
    subject, path = uuid.UUID(account), f"/accounts/{account}"
    old = tokens.headers("partner", partner="oasis", subject=subject)

    await api.http.post(f"{path}/disable", headers=operator)
    refused = await api.http.get(path, headers=old)
    await api.http.post(f"{path}/enable", headers=operator)

    (event,) = await revoked(api, account)
    assert event["partner"] == "oasis"
    assert (refused.status_code, refused.json()["code"]) == (401, "token-revoked")
    assert (await api.http.get(path, headers=old)).status_code == 401
    async with api.sessions() as session:
        at = (await moment(session)).timestamp()
    new = tokens.headers("partner", partner="oasis", subject=subject, iat=at)
    assert (await api.http.get(path, headers=new)).status_code == 200


async def test_a_revoked_client_an_erased_person_and_a_new_password_revoke_tokens(
    api: Api, operator
) -> None:
    await a_partner(api, operator, "oasis")
    path = "/partners/oasis/clients"
    made = (await api.http.post(path, json={"label": "x"}, headers=operator)).json()
    erased = await an_account(api, operator, partner="oasis", roles=["partner"])
    forgetful = await an_account(api, operator, roles=["juror"])

    await api.http.delete(f"{path}/{made['client_id']}", headers=operator)
    erasure = {"kind": "erasure", "ground": "person", "reference": "1", "account_ids": [erased]}
    asked = await api.http.post("/persons/requests", json=erasure, headers=operator)
    await api.http.post(f"{asked.headers['location']}/confirm", headers=operator)
    await api.http.put(
        f"/accounts/{forgetful}/password", json={"password": OTHER}, headers=operator
    )

    partners = [
        [event["partner"] for event in await revoked(api, subject)]
        for subject in (made["client_id"], erased, forgetful)
    ]
    assert partners == [["oasis"], ["oasis"], [None]]


async def test_an_unlinked_identity_leaves_no_token(api: Api, operator) -> None:
    account = await an_account(api, operator, roles=["juror"])
    path = f"/accounts/{account}/identities"
    linked = await api.http.post(
        path, json={"issuer": "https://id.example", "subject": "x"}, headers=operator
    )

    await api.http.delete(f"{path}/{linked.json()['identity_id']}", headers=operator)

    assert [event["partner"] for event in await revoked(api, account)] == [None]


# In real transactions: what is issued while rights end is revoked or refused.


async def account_id_of(api: Api, email: str) -> uuid.UUID:
    async with api.sessions() as session:
        return (await accounts.account_of_email(session, SEALER, email)).id


@asynccontextmanager
async def disabling(api: Api, account_id: uuid.UUID):
    """An account is disabled in a transaction that commits at the end of the block."""
    async with api.sessions.begin() as session:
        await account_management.disable_account(session, LOCAL_OPERATOR, account_id)
        yield


async def somebody_waits(api: Api) -> bool:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    async with api.sessions() as session:
        return bool(await session.scalar(query))


async def test_a_sign_in_that_meets_the_end_of_the_account_gets_no_token(
    committing_api: Api, email: str
) -> None:
    api = committing_api
    await second_operator(api)
    account_id = await account_id_of(api, email)

    async with disabling(api, account_id):
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        sign_in = asyncio.create_task(request_token(api, **form))
        await eventually(lambda: somebody_waits(api))

    answer = await sign_in
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_token_issued_just_before_the_end_of_the_account_is_revoked(
    committing_api: Api, email: str
) -> None:
    api = committing_api
    await second_operator(api)
    account_id = await account_id_of(api, email)
    token = await signed_in(api, email)
    caller = await api.runtime.verifier.verify(token)

    async with disabling(api, account_id):
        pass

    async with api.sessions.begin() as session:
        with pytest.raises(revocations.TokenRevoked):
            await revocations.refuse_revoked(session, caller)


async def test_who_is_enabled_again_signs_in_at_once(committing_api: Api, email: str) -> None:
    api = committing_api
    await second_operator(api)
    account_id = await account_id_of(api, email)
    async with disabling(api, account_id):
        pass
    async with api.sessions.begin() as session:
        await account_management.enable_account(session, LOCAL_OPERATOR, account_id)

    caller = await api.runtime.verifier.verify(await signed_in(api, email))

    async with api.sessions.begin() as session:
        await revocations.refuse_revoked(session, caller)


async def second_operator(api: Api) -> None:
    async with api.sessions.begin() as session:
        await accounts.create_account(
            session,
            SEALER,
            LOCAL_OPERATOR,
            email=f"{uuid.uuid4().hex}@taawon.example",
            password=PASSWORD,
            roles=[Role.OPERATOR],
        )


async def test_a_client_that_is_revoked_while_it_asks_gets_no_token(committing_api: Api) -> None:
    api, slug = committing_api, f"p{uuid.uuid4().hex[:8]}"
    async with api.sessions.begin() as session:
        name = Localized(fr="Essai", ar="تجربة")
        await partner_usecases.register_partner(
            session, LOCAL_OPERATOR, slug=slug, name=name, kind="bank", language="fr"
        )
        await session.flush()
        client, secret = await api_clients.create_api_client(
            session, LOCAL_OPERATOR, slug=slug, label="x"
        )

    async with api.sessions.begin() as session:
        await api_clients.revoke_api_client(session, LOCAL_OPERATOR, slug=slug, client_id=client.id)
        await session.flush()
        form = {"grant_type": "client_credentials", "client_id": str(client.id)}
        request = asyncio.create_task(request_token(api, **form, client_secret=secret))
        await eventually(lambda: somebody_waits(api))

    assert (await request).status_code == 401


async def test_a_revoked_token_is_exchanged_for_none_even_if_the_account_is_enabled_again(
    committing_api: Api, email: str
) -> None:
    api = committing_api
    await second_operator(api)
    token, account_id = await signed_in(api, email), await account_id_of(api, email)
    async with disabling(api, account_id):
        pass
    async with api.sessions.begin() as session:
        await account_management.enable_account(session, LOCAL_OPERATOR, account_id)

    answer = await request_token(
        api,
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        on_behalf_of=str(uuid.uuid4()),
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "POST /token" in answer.json()["detail"]
