"""Forged, foreign and broken tokens at the four APIs: one refusal, and one next step."""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from devkit.pytest_plugin import Tokens
from devkit.stack_layout import SERVICES
from shared.kernel.auth.tokens import ALGORITHM

from . import samples
from .running_services import Operation, Target, operations

HOUR = 3600
FAR_OFF = 4102444800
"""The year 2100, in seconds."""


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": Tokens.issuer,
        "aud": Tokens.audience,
        "sub": str(uuid.uuid4()),
        "iat": now,
        "exp": now + HOUR,
        "roles": ["operator"],
        **changes,
    }


def _signed(key: OKPKey, header: dict[str, Any], claims: object) -> str:
    """A token whose signature is right, whatever its header and claims say."""
    private = Ed25519PrivateKey.from_private_bytes(
        base64.urlsafe_b64decode(key.as_dict(private=True)["d"] + "==")
    )
    unsigned = f"{_part({'alg': ALGORITHM, **header})}.{_part(claims)}"
    signature = private.sign(unsigned.encode())
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _by_stranger(tokens: Tokens, **header: Any) -> str:
    """Signed with a key of the attacker's own, which the header offers in some way."""
    own = OKPKey.generate_key("Ed25519", {"kid": "test"})
    offered = {name: own.as_dict(private=False) if v is OWN else v for name, v in header.items()}
    return _signed(own, offered, _claims())


OWN = object()


def _hs256(secret: bytes) -> str:
    """By hand: a library refuses to take a public key for a secret."""
    unsigned = f"{_part({'alg': 'HS256', 'kid': 'test'})}.{_part(_claims())}"
    signature = hmac.digest(secret, unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _raw_key(tokens: Tokens) -> bytes:
    return base64.urlsafe_b64decode(tokens.key.as_dict(private=False)["x"] + "==")


def _claiming(**changes: Any) -> Callable[[Tokens], str]:
    return lambda tokens: _signed(tokens.key, {"kid": "test"}, _claims(**changes))


def _headed(**header: Any) -> Callable[[Tokens], str]:
    return lambda tokens: _signed(tokens.key, {"kid": "test", **header}, _claims())


def _offering(**header: Any) -> Callable[[Tokens], str]:
    return lambda tokens: _by_stranger(tokens, **header)


URL = "http://127.0.0.1:1/keys"
FORGED: dict[str, Callable[[Tokens], str]] = {
    "not yet valid": _claiming(nbf=FAR_OFF),
    "another audience": _claiming(aud="another"),
    "another audience in a list": _claiming(aud=["another"]),
    "another issuer": _claiming(iss="https://issuer.example"),
    "subject no uuid": _claiming(sub="1"),
    "subject a number": _claiming(sub=1),
    "roles a text": _claiming(roles="operator"),
    "roles an object": _claiming(roles={"operator": True}),
    "roles a number": _claiming(roles=1),
    "an unknown role": _claiming(roles=["emperor"]),
    "provinces a text": _claiming(provinces="MA-TIZ"),
    "provinces of numbers": _claiming(provinces=[1]),
    "partner a list": _claiming(partner=["indh"]),
    "cooperatives a text": _claiming(cooperatives=str(samples.COOPERATIVE)),
    "expiry a text": _claiming(exp="never"),
    "expiry without end": _claiming(exp=1e400),
    "no expiry": _claiming(exp=None),
    "alg none": lambda t: f"{_part({'alg': 'none'})}.{_part(_claims())}.",
    "alg none, known kid": lambda t: f"{_part({'alg': 'none', 'kid': 'test'})}.{_part(_claims())}.",
    "alg None": lambda t: f"{_part({'alg': 'None', 'kid': 'test'})}.{_part(_claims())}.",
    "no signature": lambda t: ".".join(t.issue("operator").split(".")[:2]) + ".",
    "another's signature": lambda t: ".".join(
        [*t.issue("operator").split(".")[:2], t.issue("juror").split(".")[2]]
    ),
    "the public key as secret": lambda t: _hs256(_raw_key(t)),
    "the public key's PEM as secret": lambda t: _hs256(t.key.as_pem(private=False)),
    "an unknown kid": _offering(kid="unknown"),
    "no kid": _offering(),
    "an unknown key under a known kid": _offering(kid="test"),
    "an embedded jwk": _offering(jwk=OWN),
    "an embedded jwk under a known kid": _offering(kid="test", jwk=OWN),
    "a jku": _offering(kid="test", jku=URL),
    "an x5u": _offering(kid="test", x5u=URL),
    "a kid that is a path": _offering(kid="../../../../dev/null"),
    "a kid that is SQL": _offering(kid="' OR 1=1 --"),
    "crit": _headed(crit=["exp"], exp=1),
    "crit unknown": _headed(crit=["b64"], b64=False),
    "a huge token": lambda t: t.issue("operator", more="x" * 20_000),
    "too many parts": lambda t: t.issue("operator") + ".e30",
    "no token at all": lambda t: "operator",
}


def _get(target: Target, **more: Any) -> httpx.Response:
    return target.http.get("/status", **more)


def _refusal(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    body: dict[str, Any] = answer.json()
    assert "POST /token" in body["detail"]
    del body["correlation_id"]
    return body


@pytest.mark.parametrize("service", SERVICES)
def test_a_genuine_token_is_accepted(service, running_services, tokens):
    for header in ({"kid": "test"}, {"kid": "test", "jku": URL, "x5u": URL, "typ": "JWT"}):
        token = _signed(tokens.key, header, _claims())
        answer = _get(running_services[service], headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, (header, answer.text)


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(service, running_services, tokens):
    bodies = {
        name: _refusal(
            _get(
                running_services[service],
                headers={b"Authorization": b"Bearer " + forge(tokens).encode()},
            )
        )
        for name, forge in FORGED.items()
    }

    assert {tuple(answer.items()) for answer in bodies.values()} == {
        tuple(next(iter(bodies.values())).items())
    }


@pytest.mark.parametrize("service", SERVICES)
def test_an_expired_token_says_so_and_nothing_else(service, running_services, tokens):
    token = tokens.issue("operator", exp=int(time.time()) - 60)

    body = _refusal(_get(running_services[service], headers={"Authorization": f"Bearer {token}"}))

    assert (body["code"], "errors" in body) == ("expired-token", False)


@pytest.mark.parametrize("service", SERVICES)
def test_a_token_anywhere_but_in_its_header_is_no_token(service, running_services, tokens):
    token = tokens.issue("operator")
    target = running_services[service]

    for answer in (
        _get(target, params={"access_token": token, "token": token}),
        _get(target, headers={"Cookie": f"access_token={token}; Authorization={token}"}),
        _get(target, headers={"Authorization": token}),
        _get(target, headers={"Authorization": f"Basic {token}"}),
        _get(target, headers={"Authorization": f"Token {token}"}),
        _get(target, headers={"X-Forwarded-Authorization": f"Bearer {token}"}),
        _get(target, headers={"Authorization": "Bearer"}),
        _get(target, headers={"Authorization": ""}),
    ):
        assert _refusal(answer)["code"] in {"unauthenticated", "invalid-token"}


@pytest.mark.parametrize("service", SERVICES)
def test_two_tokens_are_none_whichever_is_right(service, running_services, tokens):
    right, wrong = f"Bearer {tokens.issue('operator')}", "Bearer x"

    for two in ((right, wrong), (wrong, right), (right, right)):
        body = _refusal(
            _get(running_services[service], headers=[("Authorization", one) for one in two])
        )
        assert body["code"] == "several-tokens"


GUARDED = [operation for operation in operations() if operation.needs_token]


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_no_guarded_operation_looks_at_anything_before_the_token(
    operation: Operation, running_services, tokens
):
    target = running_services[operation.service]
    path = samples.path_of(operation)
    forged = FORGED["an unknown key under a known kid"](tokens)

    for headers in ({}, {"Authorization": f"Bearer {forged}"}):
        answer = target.http.request(operation.method, path, headers=headers)
        assert _refusal(answer)["code"] in {"unauthenticated", "invalid-token"}
