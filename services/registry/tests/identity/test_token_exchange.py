"""Token exchange: for tokens of another issuer, and to act for a cooperative."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from registry.app import create_app
from registry.identity import models
from registry.identity.stored_keys import StoredKeys
from registry.identity.usecases import accounts, identities
from registry.identity.usecases.identities import identity_marks
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.oidc import DiscoveredKeys, ForeignIssuer, is_safe_url
from shared.kernel.auth.tokens import Principal, Role, Verifier
from shared.kernel.encryption.sealer import Sealer

from ..builders import LONG_WAIT, a_body
from .issuer import AUDIENCE, Issuer, serving
from .sign_in import repeat_failures

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
PASSWORD = "correct horse battery"
SUBJECT = "8f1c0d52"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving() as made:
        yield made


@dataclass
class Registry:
    """The registry with the issuer configured, and a delegate whose account is linked."""

    api: Api
    issuer: Issuer
    account_id: uuid.UUID
    operator: dict[str, str]

    async def exchange(self, token: str, **form: str) -> httpx.Response:
        known = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": JWT}
        return await self.api.http.post("/token", data=known | form)

    async def caller(self, answer: httpx.Response) -> Principal:
        assert answer.status_code == 200, answer.text
        return await self.api.runtime.verifier.verify(answer.json()["access_token"])


@pytest.fixture
async def registry(
    databases: pytest_plugin.TestDatabases, tokens: Tokens, issuer: Issuer
) -> AsyncIterator[Registry]:
    issuer.is_down, issuer.claimed_url, issuer.too_much = False, issuer.url, b""
    url = databases.migrated("registry")
    given = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_client_id": "taawon"}
    async with pytest_plugin.api(create_app, "registry", url, tokens, **given) as api:
        api.runtime.verifier = own_verifier(api)
        async with api.sessions.begin() as session:
            account = await accounts.create_account(
                session,
                Sealer([pytest_plugin.SEAL_KEY]),
                LOCAL_OPERATOR,
                email=f"{uuid.uuid4().hex}@taawon.example",
                password=PASSWORD,
                roles=[Role.DELEGATE],
                provinces=["MA-TIZ"],
            )
            await session.flush()
            await identities.link_identity(
                session,
                Sealer([pytest_plugin.SEAL_KEY]),
                LOCAL_OPERATOR,
                account.id,
                issuer=issuer.url,
                subject=SUBJECT,
            )
        made = Registry(api, issuer, account.id, {})
        made.operator = await signed_in_operator(made)
        yield made


def own_verifier(api: Api) -> Verifier:
    settings = api.runtime.settings
    keys = StoredKeys(api.sessions, fresh_seconds=0, least_seconds=0)
    return Verifier(keys, issuer=settings.issuer, audience=settings.audience)


async def signed_in_operator(registry: Registry) -> dict[str, str]:
    email = f"{uuid.uuid4().hex}@taawon.example"
    async with registry.api.sessions.begin() as session:
        await accounts.create_account(
            session,
            Sealer([pytest_plugin.SEAL_KEY]),
            LOCAL_OPERATOR,
            email=email,
            password=PASSWORD,
            roles=[Role.OPERATOR],
        )
    return await signed_in(registry, email)


async def signed_in(registry: Registry, email: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    answer = await registry.api.http.post("/token", data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519", "EdDSA"])
async def test_a_linked_subject_gets_an_ordinary_token_of_ours(
    registry: Registry, alg: str
) -> None:
    answer = await registry.exchange(registry.issuer.token(SUBJECT, alg=alg))

    caller = await registry.caller(answer)
    assert (caller.subject, caller.roles) == (registry.account_id, {Role.DELEGATE})
    assert caller.provinces == {"MA-TIZ"}
    assert answer.json()["issued_token_type"].endswith(":access_token")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_id_tokens_and_access_tokens_are_both_exchanged(registry: Registry, typ: str) -> None:
    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT, typ=typ)))


async def test_roles_in_a_foreign_token_give_nothing(registry: Registry) -> None:
    token = registry.issuer.token(
        SUBJECT, roles=["operator"], provinces=["MA-TNG"], partner="oasis", scope="admin"
    )

    caller = await registry.caller(await registry.exchange(token))

    assert (caller.roles, caller.provinces, caller.partner) == (
        {Role.DELEGATE},
        {"MA-TIZ"},
        None,
    )


async def test_rights_follow_the_record_and_not_the_link(registry: Registry) -> None:
    await registry.api.http.patch(
        f"/accounts/{registry.account_id}", json={"roles": ["juror"]}, headers=registry.operator
    )

    caller = await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))

    assert (caller.roles, caller.provinces) == ({Role.JUROR}, frozenset())


def unsigned(issuer: Issuer) -> str:
    parts = [{"alg": "none"}, issuer.claims(SUBJECT)]
    return ".".join(encoded(json.dumps(part).encode()) for part in parts) + "."


def with_the_public_key_as_secret(issuer: Issuer) -> str:
    """The old confusion: HS256, the secret being what everybody may read."""
    public = RSAKey.import_key(issuer.keys["RS256"].as_dict(private=False)).as_pem(private=False)
    parts = [{"alg": "HS256", "kid": "rsa"}, issuer.claims(SUBJECT)]
    signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encoded(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def of_an_unknown_key(issuer: Issuer) -> str:
    strange = OKPKey.generate_key("Ed25519")
    header = {"alg": "Ed25519", "kid": "nobody"}
    return jwt.encode(header, issuer.claims(SUBJECT), strange, ["Ed25519"])


def signed_by_another(issuer: Issuer) -> str:
    strange = OKPKey.generate_key("Ed25519")
    return jwt.encode(
        {"alg": "Ed25519", "kid": "okp"}, issuer.claims(SUBJECT), strange, ["Ed25519"]
    )


FORGED: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "unsigned": (unsigned, "signed with one of"),
    "public key as secret": (with_the_public_key_as_secret, "signed with one of"),
    "unknown kid": (of_an_unknown_key, "no such key"),
    "another's signature": (signed_by_another, "signature is wrong"),
    "another audience": (lambda i: i.token(SUBJECT, aud="another"), "aud"),
    "no audience": (lambda i: i.token(SUBJECT, aud=None), "aud"),
    "another issuer": (lambda i: i.token(SUBJECT, iss="http://127.0.0.1:1"), "iss"),
    "issuer with a slash": (lambda i: i.token(SUBJECT, iss=i.url + "/"), "iss"),
    "expired": (lambda i: i.token(SUBJECT, exp=1), "expired"),
    "never expires": (lambda i: i.token(SUBJECT, exp=None), "exp"),
    "not yet valid": (lambda i: i.token(SUBJECT, nbf=99_999_999_999), "refused"),
    "no subject": (lambda i: i.token(SUBJECT, sub=None), "sub"),
    "empty subject": (lambda i: i.token(""), "sub"),
    "another client": (lambda i: i.token(SUBJECT, azp="another"), "azp"),
    "shared audience": (lambda i: i.token(SUBJECT, aud=[AUDIENCE, "another"]), "azp"),
    "a logout": (lambda i: i.token(SUBJECT, typ="logout+jwt"), "another kind"),
    "a security event": (
        lambda i: i.token(
            SUBJECT, events={"http://schemas.openid.net/event/backchannel-logout": {}}
        ),
        "another kind",
    ),
    "garbage": (lambda _: "a.b.c", "malformed"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_token_that_proves_nothing_is_refused_with_the_reason(
    registry: Registry, name: str
) -> None:
    make, reason = FORGED[name]

    answer = await registry.exchange(make(registry.issuer))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text
    assert reason in answer.json()["detail"]
    assert SUBJECT not in answer.text


async def test_a_token_longer_than_any_real_one_is_refused(registry: Registry) -> None:
    answer = await registry.exchange(registry.issuer.token(SUBJECT, padding="x" * 9000))

    assert answer.status_code == 422


async def test_a_key_that_the_issuer_began_to_use_meanwhile_is_found(registry: Registry) -> None:
    keys = DiscoveredKeys(registry.issuer.url, least_seconds=0)
    registry.api.app.state.foreign_issuer = ForeignIssuer(registry.issuer.url, AUDIENCE, keys=keys)
    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))
    before = registry.issuer.keys["ES256"]
    registry.issuer.keys["ES256"] = type(before).generate_key("P-256", {"kid": "new", "use": "sig"})

    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT, alg="ES256")))


@pytest.mark.parametrize("fault", ["down", "another's document", "too much"])
async def test_an_issuer_that_can_not_be_read_makes_a_token_unavailable_for_now(
    registry: Registry, fault: str
) -> None:
    registry.issuer.is_down = fault == "down"
    registry.issuer.claimed_url = (
        "https://evil.example" if "another" in fault else registry.issuer.url
    )
    registry.issuer.too_much = b" " * 300_000 if fault == "too much" else b""

    answer = await registry.exchange(registry.issuer.token(SUBJECT))

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"


async def test_an_issuer_that_goes_away_is_not_needed_while_its_keys_are_fresh(
    registry: Registry,
) -> None:
    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))
    registry.issuer.is_down = True

    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))


async def test_a_subject_linked_to_no_account_learns_so_and_waits_in_the_end(
    registry: Registry,
) -> None:
    first = await registry.exchange(registry.issuer.token("stranger"))
    await repeat_failures(registry.api, LONG_WAIT)
    last = await registry.exchange(registry.issuer.token("stranger"))

    assert first.json().get("error") == "invalid_grant"
    assert "ask an operator to link it" in first.json()["detail"]
    assert last.status_code == 429
    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))


async def test_subjects_are_stored_sealed_and_marked_and_are_deleted_with_the_person(
    registry: Registry,
) -> None:
    """Some issuers use an e-mail for the subject."""
    subject = "person-of-links@taawon.example"
    path = f"/accounts/{registry.account_id}/identities"
    await registry.api.http.post(path, json={"subject": subject}, headers=registry.operator)
    await registry.api.http.post(
        f"/accounts/{registry.account_id}/disable", headers=registry.operator
    )
    await registry.exchange(registry.issuer.token(subject))
    async with registry.api.sessions() as session:
        links = str((await session.execute(select(models.linked_identity))).all())
        counted = await marks_of_failures(session)

    request = {"kind": "erasure", "ground": "person", "reference": "1"}
    request |= {"account_ids": [str(registry.account_id)]}
    asked = await registry.api.http.post(
        "/persons/requests", json=request, headers=registry.operator
    )
    erased = await registry.api.http.post(
        f"{asked.headers['location']}/confirm", headers=registry.operator
    )

    plain = hashlib.sha256(f"identity\0{registry.issuer.url}\0{subject}".encode()).hexdigest()
    (keyed,) = identity_marks(Sealer([pytest_plugin.SEAL_KEY]), registry.issuer.url, subject)
    assert erased.status_code == 200, erased.text
    assert (subject in links, plain in counted, keyed in counted) == (False, False, True)
    async with registry.api.sessions() as session:
        assert keyed not in await marks_of_failures(session)
        assert await session.scalar(select(func.count()).select_from(models.linked_identity)) == 0


async def marks_of_failures(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(models.sign_in_failure.c.email_mark)))


async def test_nobody_waits_once_the_identity_is_linked(registry: Registry) -> None:
    await registry.exchange(registry.issuer.token("newcomer"))
    await repeat_failures(registry.api, LONG_WAIT)

    linked = await registry.api.http.post(
        f"/accounts/{registry.account_id}/identities",
        json={"subject": "newcomer"},
        headers=registry.operator,
    )

    assert linked.status_code == 201, linked.text
    await registry.caller(await registry.exchange(registry.issuer.token("newcomer")))


async def test_a_disabled_account_gets_no_token_until_it_is_enabled(registry: Registry) -> None:
    path = f"/accounts/{registry.account_id}"
    await registry.api.http.post(f"{path}/disable", headers=registry.operator)
    refused = await registry.exchange(registry.issuer.token(SUBJECT))
    await registry.api.http.post(f"{path}/enable", headers=registry.operator)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert "disabled" in refused.json()["detail"]
    await registry.caller(await registry.exchange(registry.issuer.token(SUBJECT)))


async def test_an_unlinked_subject_gets_no_token_any_more(registry: Registry) -> None:
    path = f"/accounts/{registry.account_id}/identities"
    (identity,) = (await registry.api.http.get(path, headers=registry.operator)).json()["items"]

    ended = await registry.api.http.delete(
        f"{path}/{identity['identity_id']}", headers=registry.operator
    )

    assert ended.status_code == 204
    assert (await registry.exchange(registry.issuer.token(SUBJECT))).json()[
        "error"
    ] == "invalid_grant"
    audit = await registry.api.http.get(f"/audit/{registry.account_id}", headers=registry.operator)
    assert [each["action"] for each in audit.json()["items"]] == [
        "identity unlinked",
        "identity linked",
        "account created",
    ]
    assert SUBJECT not in audit.text


async def test_the_same_subject_of_another_issuer_is_somebody_else(registry: Registry) -> None:
    path = f"/accounts/{registry.account_id}/identities"
    there = {"issuer": "https://id.example", "subject": "twin"}
    await registry.api.http.post(path, json=there, headers=registry.operator)

    answer = await registry.exchange(registry.issuer.token("twin"))

    assert answer.json()["error"] == "invalid_grant"


async def test_a_subject_is_linked_to_one_account_only(registry: Registry) -> None:
    path = f"/accounts/{registry.account_id}/identities"

    again = await registry.api.http.post(path, json={"subject": SUBJECT}, headers=registry.operator)

    assert (again.status_code, again.json()["code"]) == (409, "identity-taken")


async def test_without_a_configured_issuer_no_foreign_token_is_exchanged(
    registry: Registry,
) -> None:
    registry.api.app.state.foreign_issuer = None

    answer = await registry.exchange(registry.issuer.token(SUBJECT))

    assert "TAAWON_OIDC_ISSUER" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"oidc_issuer": "https://id.example"}, "TAAWON_OIDC_AUDIENCE"),
        ({"oidc_issuer": "http://id.example", "oidc_audience": "x"}, "https"),
    ],
)
def test_half_a_configuration_stops_the_process(given: dict[str, str], named: str) -> None:
    with pytest.raises(SystemExit, match=named):
        create_app(
            pytest_plugin.test_settings("registry", "postgresql+asyncpg://x@127.0.0.1/x", **given)
        )


def test_only_https_and_loopback_issuers_are_safe() -> None:
    safe = ["https://id.example", "http://127.0.0.1:1", "http://localhost/x"]
    unsafe = ["http://id.example", "ftp://127.0.0.1", "https://", "file:///etc/passwd", ""]

    assert [is_safe_url(url) for url in (*safe, *unsafe)] == [True] * 3 + [False] * 5


async def a_cooperative(registry: Registry, province: str) -> str:
    body = a_body(province=province, local_register_no=uuid.uuid4().hex)
    made = await registry.api.http.post("/cooperatives", json=body, headers=registry.operator)
    assert made.status_code == 201, made.text
    return str(made.json()["cooperative_id"])


async def own_token(registry: Registry) -> str:
    answer = await registry.exchange(registry.issuer.token(SUBJECT))
    return str(answer.json()["access_token"])


async def test_a_delegate_gets_a_token_that_acts_for_a_cooperative_of_its_provinces(
    registry: Registry,
) -> None:
    cooperative, mine = await a_cooperative(registry, "MA-TIZ"), await own_token(registry)

    acting = await registry.caller(await registry.exchange(mine, on_behalf_of=cooperative))

    own = await registry.api.runtime.verifier.verify(mine)
    assert str(acting.on_behalf_of) == cooperative
    assert (acting.subject, acting.roles, acting.provinces) == (
        own.subject,
        own.roles,
        own.provinces,
    )
    assert acting.expires_at is not None
    assert own.expires_at is not None
    assert acting.expires_at <= own.expires_at


async def test_nobody_acts_for_a_cooperative_outside_the_delegation(registry: Registry) -> None:
    elsewhere, mine = await a_cooperative(registry, "MA-TNG"), await own_token(registry)

    answer = await registry.exchange(mine, on_behalf_of=elsewhere)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert "MA-TNG" in answer.json()["detail"]


async def test_a_foreign_token_or_a_disabled_account_acts_for_nobody(registry: Registry) -> None:
    cooperative, mine = await a_cooperative(registry, "MA-TIZ"), await own_token(registry)
    await registry.api.http.post(
        f"/accounts/{registry.account_id}/disable", headers=registry.operator
    )

    foreign = await registry.exchange(registry.issuer.token(SUBJECT), on_behalf_of=cooperative)
    disabled = await registry.exchange(mine, on_behalf_of=cooperative)

    assert [foreign.json()["error"], disabled.json()["error"]] == [
        "invalid_request",
        "invalid_grant",
    ]
