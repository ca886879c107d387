"""Tokens: which are accepted, and which are refused."""

from __future__ import annotations

import base64
import time
import uuid
from datetime import UTC, datetime

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from devkit.pytest_plugin import Tokens
from shared.kernel.auth.tokens import (
    ALGORITHM,
    ExpiredToken,
    InvalidToken,
    LoadedKeys,
    Principal,
    Role,
    Verifier,
)

from .signing import a_key, public, signed

FAR_OFF = 4102444800
"""The year 2100, in seconds."""


async def test_a_valid_token_names_the_caller(tokens: Tokens):
    subject, cooperative = uuid.uuid4(), uuid.uuid4()
    token = tokens.issue(
        Role.DELEGATE,
        Role.COOPERATIVE,
        subject=subject,
        provinces=["MA-TIZ"],
        cooperatives=[cooperative],
    )

    caller = await tokens.verifier.verify(token)

    assert caller.model_copy(update={"issued_at": None, "expires_at": None}) == Principal(
        subject=subject,
        roles=frozenset({Role.DELEGATE, Role.COOPERATIVE}),
        provinces=frozenset({"MA-TIZ"}),
        cooperatives=frozenset({cooperative}),
    )


async def test_the_instant_of_issue_is_read_to_the_microsecond(tokens: Tokens):
    issued_at = datetime(2026, 11, 1, 9, 0, 0, 123_457, tzinfo=UTC)

    caller = await tokens.verifier.verify(tokens.issue(iat=issued_at.timestamp()))

    assert caller.issued_at == issued_at


async def test_a_claim_is_ignored_without_the_role_it_belongs_to(tokens: Tokens):
    token = tokens.issue(
        Role.JUROR,
        provinces=["MA-TIZ"],
        partner="oasis",
        cooperatives=[uuid.uuid4()],
        on_behalf_of=str(uuid.uuid4()),
    )

    caller = await tokens.verifier.verify(token)

    assert caller.model_copy(update={"issued_at": None, "expires_at": None}) == Principal(
        subject=caller.subject, roles=frozenset({Role.JUROR})
    )


def part(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"aud": None},
        {"sub": "not-a-uuid"},
        {"sub": None},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": FAR_OFF},
        {"roles": ["emperor"]},
        {"roles": 7},
        {"partner": 7},
        {"cooperatives": ["x"]},
    ],
    ids=str,
)
async def test_a_token_with_wrong_claims_is_refused(tokens: Tokens, claims):
    token = tokens.issue(Role.OPERATOR, **claims)

    with pytest.raises(InvalidToken):
        await tokens.verifier.verify(token)


async def test_an_expired_token_is_refused_as_expired(tokens: Tokens):
    token = tokens.issue(Role.OPERATOR, exp=int(time.time()) - 60)

    with pytest.raises(ExpiredToken):
        await tokens.verifier.verify(token)


async def test_a_token_without_a_signature_is_refused(tokens: Tokens):
    _, claims, _ = tokens.issue(Role.OPERATOR).split(".")

    for header in ({"alg": "none"}, {"alg": "none", "kid": "test"}, {"alg": ALGORITHM}):
        with pytest.raises(InvalidToken):
            await tokens.verifier.verify(f"{part(header)}.{claims}.")


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(tokens: Tokens):
    published = tokens.key.as_dict(private=False)["x"]
    secret = OctKey.import_key(base64.urlsafe_b64decode(published + "=="))
    claims = {"iss": Tokens.issuer, "aud": Tokens.audience, "sub": str(uuid.uuid4())}
    body = {**claims, "exp": int(time.time()) + 3600, "roles": ["operator"]}
    forged = jwt.encode({"alg": "HS256", "kid": "test"}, body, secret, ["HS256"])

    with pytest.raises(InvalidToken):
        await tokens.verifier.verify(forged)


async def test_a_token_signed_with_another_key_of_the_same_name_is_refused(tokens: Tokens):
    forged = signed(a_key("test"), "test")

    with pytest.raises(InvalidToken):
        await tokens.verifier.verify(forged)


async def test_a_very_long_token_is_refused_undecoded(tokens: Tokens):
    with pytest.raises(InvalidToken):
        await tokens.verifier.verify("a" * 10_000)


KEY = a_key("known")


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
async def test_whatever_is_sent_as_a_token_is_an_invalid_token(sent):
    async def load() -> KeySet:
        return KeySet.import_key_set(public(KEY))  # type: ignore[arg-type]  # plain JSON

    if isinstance(sent, list):
        sent = ".".join(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in sent)

    with pytest.raises(InvalidToken):
        await Verifier(LoadedKeys(load), issuer="i", audience="a").verify(sent)


@pytest.mark.parametrize("claims", [[], 7, "x", None, {"exp": []}], ids=str)
async def test_signed_claims_of_a_wrong_shape_are_refused(tokens: Tokens, claims):
    private = Ed25519PrivateKey.from_private_bytes(
        base64.urlsafe_b64decode(tokens.key.as_dict(private=True)["d"] + "==")
    )
    unsigned = f"{part({'alg': ALGORITHM, 'kid': 'test'})}.{part(claims)}"
    signature = base64.urlsafe_b64encode(private.sign(unsigned.encode())).rstrip(b"=").decode()

    with pytest.raises(InvalidToken):
        await tokens.verifier.verify(f"{unsigned}.{signature}")
