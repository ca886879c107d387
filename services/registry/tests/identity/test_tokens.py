"""Tokens are issued to whoever proves who they are, and only genuine ones are accepted."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import Api
from registry.identity.stored_keys import StoredKeys
from registry.identity.usecases import api_clients
from registry.identity.usecases.tokens import rotate_signing_key
from registry.partners import usecases
from shared.contracts.base import Localized
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import ALGORITHM, InvalidToken, MissingRole, Role, Verifier

from .sign_in import PASSWORD, SEALER, request_token, signed_in

Json = dict[str, Any]


@pytest.fixture
def api(committing_api: Api) -> Api:
    """Verifies tokens with the keys of its own database."""
    return committing_api


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def active_key(api: Api) -> tuple[str, OKPKey]:
    async with api.sessions.begin() as session:
        key = await rotate_signing_key(session, SEALER, LOCAL_OPERATOR)
        return key.kid, OKPKey.import_key(SEALER.open(key.private_sealed))


def claims(**changes: Any) -> Json:
    return {
        "iss": "taawon-registry",
        "aud": "taawon",
        "sub": str(uuid.uuid4()),
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
        "roles": ["operator"],
        **changes,
    }


async def test_an_operator_signs_in_whatever_the_case_of_the_e_mail_and_may_use_the_token(
    api: Api, email: str
) -> None:
    token = await signed_in(api, email.upper())

    answer = await api.http.get("/partners", headers=bearer(token))

    assert answer.status_code == 200


async def test_a_token_carries_the_claims_of_the_account(api: Api, email: str) -> None:
    token = await signed_in(api, email)

    keys = KeySet.import_key_set((await api.http.get("/.well-known/jwks.json")).json())
    decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])

    assert decoded.header["alg"] == ALGORITHM
    assert decoded.claims["roles"] == ["operator"]
    assert decoded.claims["exp"] - decoded.claims["nbf"] == 600
    assert 0 < decoded.claims["iat"] - decoded.claims["nbf"] < 1
    assert {"iss", "aud", "sub", "jti"} <= decoded.claims.keys()


async def test_a_client_of_a_partner_acts_as_that_partner(api: Api) -> None:
    slug = f"p{uuid.uuid4().hex[:8]}"
    async with api.sessions.begin() as session:
        await usecases.register_partner(
            session,
            LOCAL_OPERATOR,
            slug=slug,
            name=Localized(fr="Essai", ar="تجربة"),
            kind="bank",
            language="fr",
        )
        await session.flush()
        client, secret = await api_clients.create_api_client(
            session, LOCAL_OPERATOR, slug=slug, label="x"
        )

    in_form = await request_token(
        api, grant_type="client_credentials", client_id=str(client.id), client_secret=secret
    )
    in_header = await api.http.post(
        "/token", data={"grant_type": "client_credentials"}, auth=(str(client.id), secret)
    )

    assert (in_form.status_code, in_header.status_code) == (200, 200)
    caller = await api.runtime.verifier.verify(in_form.json()["access_token"])
    assert (caller.partner, caller.roles) == (slug, {Role.PARTNER})


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "unsupported_grant_type"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "x"}, 400, "invalid_request"),
        (
            {"grant_type": "password", "username": "nobody@x.example", "password": "x"},
            400,
            "invalid_grant",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"},
            401,
            "invalid_client",
        ),
        (
            {"grant_type": "client_credentials", "client_id": str(uuid.UUID(int=9))},
            401,
            "invalid_client",
        ),
    ],
)
async def test_a_refused_token_is_an_oauth_error_and_a_problem(
    api: Api, form: dict[str, str], status: int, error: str
) -> None:
    answer = await request_token(api, **form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["detail"]
    assert answer.headers["cache-control"] == "no-store"


async def test_neither_password_nor_e_mail_is_stored_in_clear(api: Api, email: str) -> None:
    async with api.sessions() as session:
        connection = await session.connection()
        rows = (await connection.exec_driver_sql("SELECT * FROM account")).all()
        keys = (await connection.exec_driver_sql("SELECT * FROM signing_key")).all()

    assert email not in str(rows)
    assert PASSWORD not in str(rows)
    assert "$argon2id$" in str(rows)
    assert "'d':" not in str(keys)


async def test_after_a_rotation_tokens_of_the_old_key_are_still_accepted(
    api: Api, email: str
) -> None:
    old = await signed_in(api, email)
    async with api.sessions.begin() as session:
        await rotate_signing_key(session, SEALER, LOCAL_OPERATOR)

    new = await signed_in(api, email)

    assert jwt_header(old)["kid"] != jwt_header(new)["kid"]
    for token in (old, new):
        assert (await api.http.get("/partners", headers=bearer(token))).status_code == 200


async def test_a_rotation_is_found_in_the_audit_by_the_new_key(api: Api, email: str) -> None:
    old, _ = await active_key(api)
    new, _ = await active_key(api)

    headers = bearer(await signed_in(api, email))
    seen = await api.http.get(f"/audit/{new}", headers=headers)

    (row,) = seen.json()["items"]
    assert (row["action"], row["actor_id"]) == ("signing key rotated", str(LOCAL_OPERATOR.subject))
    assert (row["before"], row["after"]) == ({"kid": old}, {"kid": new})


async def test_only_operators_rotate_the_signing_key(api: Api) -> None:
    partner = LOCAL_OPERATOR.model_copy(update={"roles": frozenset({Role.PARTNER})})

    with pytest.raises(MissingRole):
        async with api.sessions.begin() as session:
            await rotate_signing_key(session, SEALER, partner)


async def test_the_published_keys_never_hold_a_private_part(api: Api, email: str) -> None:
    await signed_in(api, email)

    keys = (await api.http.get("/.well-known/jwks.json")).json()["keys"]

    assert keys
    assert all("d" not in key and key["alg"] == ALGORITHM for key in keys)


def jwt_header(token: str) -> Json:
    part = token.split(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 60},
        {"aud": "another"},
        {"iss": "another"},
        {"sub": "not a uuid"},
        {"roles": ["king"]},
        {"exp": None},
    ],
)
async def test_a_token_with_wrong_claims_is_refused(api: Api, changes: Json) -> None:
    kid, key = await active_key(api)
    token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims(**changes), key, [ALGORITHM])

    answer = await api.http.get("/partners", headers=bearer(token))

    assert answer.status_code == 401


async def test_a_token_of_an_unknown_key_is_refused(api: Api) -> None:
    kid, _ = await active_key(api)
    strange = OKPKey.generate_key("Ed25519")
    tokens = [
        jwt.encode({"alg": ALGORITHM, "kid": name}, claims(), strange, [ALGORITHM])
        for name in (kid, "unknown")
    ]

    answers = [await api.http.get("/partners", headers=bearer(token)) for token in tokens]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_unknown_keys_cost_one_reading_and_a_new_key_is_found_at_once(
    api: Api, email: str
) -> None:
    readings = 0

    def counted() -> AsyncSession:
        nonlocal readings
        readings += 1
        return api.sessions()

    keys = StoredKeys(counted)  # type: ignore[arg-type]  # as much of it as is used
    verifier = Verifier(keys, issuer="taawon-registry", audience="taawon")
    strange = OKPKey.generate_key("Ed25519")
    forged = [
        jwt.encode({"alg": ALGORITHM, "kid": str(number)}, claims(), strange, [ALGORITHM])
        for number in range(50)
    ]

    refused = await asyncio.gather(*map(verifier.verify, forged), return_exceptions=True)
    kid, key = await active_key(api)
    token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims(), key, [ALGORITHM])
    caller = await verifier.verify(token)

    assert {type(each) for each in refused} == {InvalidToken}
    assert caller.roles == {Role.OPERATOR}
    assert readings <= 3


async def test_a_token_without_signature_is_refused(api: Api) -> None:
    kid, _ = await active_key(api)
    parts = [{"alg": "none", "kid": kid}, claims()]
    token = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )

    answer = await api.http.get("/partners", headers=bearer(f"{token}."))

    assert answer.status_code == 401


async def test_only_one_key_signs_however_many_ask_first(api: Api, email: str) -> None:
    await signed_in(api, email)

    async with api.sessions() as session:
        connection = await session.connection()
        active = await connection.exec_driver_sql(
            "SELECT count(*) FROM signing_key WHERE state = 'active'"
        )

    assert active.scalar_one() == 1


async def test_a_refused_sign_in_is_said_in_the_language_of_the_person_and_to_programs_in_english(
    api: Api,
) -> None:
    form = {"grant_type": "password", "username": "nobody@example.org", "password": "wrong words"}

    answer = await api.http.post("/token", data=form, headers={"Accept-Language": "fr"})

    body = answer.json()
    assert (answer.status_code, answer.headers["content-language"]) == (400, "fr")
    assert body["detail"] == "l'e-mail ou le mot de passe est faux"
    assert body["error_description"] == "the e-mail or the password is wrong"
