"""Tokens: what is accepted, what is refused, and where the issuer's keys come from."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey

from devkit.pytest_plugin import Tokens, eventually
from shared.errors import Forbidden
from shared.kernel.auth.tokens import (
    ALGORITHM,
    ExpiredToken,
    FetchedKeys,
    InvalidToken,
    KeysAway,
    LoadedKeys,
    MissingRole,
    OutsideDelegation,
    Principal,
    Role,
    Verifier,
)


def a_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})


FAR_OFF = 4102444800
"""The year 2100, in seconds."""


def public(*keys: OKPKey) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def signed(key: OKPKey, kid: str, **claims: Any) -> str:
    body = {
        "iss": Tokens.issuer,
        "aud": Tokens.audience,
        "sub": str(uuid.uuid4()),
        "exp": int(time.time()) + 3600,
        **claims,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": kid}, body, key, [ALGORITHM])


class Issuer:
    """A small HTTP server that publishes keys and counts requests."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.asked = 0
        self.url = ""
        self.may_answer = asyncio.Event()
        """Cleared while it does not answer."""
        self.may_answer.set()

    def publish(self, *keys: OKPKey) -> None:
        self.answer = orjson.dumps(public(*keys))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.may_answer.wait()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def issuing(*keys: OKPKey) -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.publish(*keys)
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    async with server:
        yield issuer


def verifier(url: str, **times: float) -> Verifier:
    keys = FetchedKeys(url, **times)
    return Verifier(keys, issuer=Tokens.issuer, audience=Tokens.audience)


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

    assert caller.model_copy(update={"expires_at": None}) == Principal(
        subject=subject,
        roles=frozenset({Role.DELEGATE, Role.COOPERATIVE}),
        provinces=frozenset({"MA-TIZ"}),
        cooperatives=frozenset({cooperative}),
    )


async def test_a_claim_is_ignored_without_the_role_it_belongs_to(tokens: Tokens):
    token = tokens.issue(
        Role.JUROR,
        provinces=["MA-TIZ"],
        partner="oasis",
        cooperatives=[uuid.uuid4()],
        on_behalf_of=str(uuid.uuid4()),
    )

    caller = await tokens.verifier.verify(token)

    assert caller.model_copy(update={"expires_at": None}) == Principal(
        subject=caller.subject, roles=frozenset({Role.JUROR})
    )


def test_a_caller_has_the_identity_of_the_cooperative_it_acts_for():
    account, own, acted_for = (uuid.uuid4() for _ in range(3))
    caller = Principal(subject=account, cooperatives=frozenset({own}), on_behalf_of=acted_for)

    assert caller.identities == {account, own, acted_for}
    assert Principal(subject=account).identities == {account}


def test_only_itself_operators_and_its_delegates_act_for_a_cooperative():
    cooperative, account = uuid.uuid4(), uuid.uuid4()

    def caller(*roles: Role, **more: Any) -> Principal:
        return Principal(subject=account, roles=frozenset(roles), **more)

    itself = caller(Role.COOPERATIVE, cooperatives=frozenset({cooperative}))
    delegate = caller(Role.DELEGATE, provinces=frozenset({"MA-TIZ"}))

    assert itself.acting_for(cooperative, "MA-TIZ").on_behalf_of is None
    assert delegate.acting_for(cooperative, "MA-TIZ").on_behalf_of == cooperative
    assert caller(Role.OPERATOR).acting_for(cooperative, None).on_behalf_of == cooperative
    for other, province in ((delegate, "MA-AGD"), (delegate, None), (caller(Role.HOLDER), None)):
        with pytest.raises(Forbidden):
            other.acting_for(cooperative, province)


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


def part(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


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


async def test_keys_are_fetched_once_for_many_tokens():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url)

        await asyncio.gather(*(api.verify(signed(key, "one")) for _ in range(20)))

        assert issuer.asked == 1


async def test_keys_are_fetched_again_for_a_token_of_a_new_key():
    old, new = a_key("old"), a_key("new")
    async with issuing(old) as issuer:
        api = verifier(issuer.url, least_seconds=0)
        await api.verify(signed(old, "old"))
        issuer.publish(old, new)

        await api.verify(signed(new, "new"))
        await api.verify(signed(old, "old"))

        assert issuer.asked == 2


async def test_a_withdrawn_key_is_refused_once_the_keys_are_fetched_again():
    old, new = a_key("old"), a_key("new")
    async with issuing(old) as issuer:
        api = verifier(issuer.url, least_seconds=0, fresh_seconds=0)
        await api.verify(signed(old, "old"))
        issuer.publish(new)

        with pytest.raises(InvalidToken):
            await api.verify(signed(old, "old"))


async def test_unknown_key_names_cost_one_fetch_and_no_more():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url)
        await api.verify(signed(key, "one"))

        for number in range(20):
            with pytest.raises(InvalidToken):
                await api.verify(signed(key, f"unknown-{number}"))

        assert issuer.asked <= 2


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"null", b'{"keys": 7}', b'{"keys":[{}]}'])
async def test_after_an_unreadable_answer_the_known_keys_stay(answer):
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=0, least_seconds=0)
        await api.verify(signed(key, "one"))
        issuer.answer = answer

        await api.verify(signed(key, "one"))

        assert issuer.asked == 2


async def test_unknown_key_names_cost_no_more_while_the_issuer_is_down():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=0, least_seconds=60)
        await api.verify(signed(key, "one"))
        issuer.answer = b"broken"

        for number in range(20):
            with pytest.raises(InvalidToken):
                await api.verify(signed(key, f"unknown-{number}"))

        assert issuer.asked == 1


async def test_an_issuer_that_was_never_there_is_not_asked_for_every_token():
    async with issuing() as issuer:
        issuer.answer = b"broken"
        api = verifier(issuer.url)

        for number in range(20):
            with pytest.raises(KeysAway):
                await api.verify(signed(a_key("one"), f"unknown-{number}"))

        assert issuer.asked == 1


async def test_without_any_keys_the_caller_is_asked_to_try_again():
    async with issuing() as issuer:
        url = issuer.url

    with pytest.raises(KeysAway, match="try again"):
        await verifier(url).verify(signed(a_key("one"), "one"))


async def test_while_one_task_waits_for_the_issuer_the_others_use_the_known_keys():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=0, least_seconds=0)
        await api.verify(signed(key, "one"))
        issuer.may_answer.clear()
        verifying = asyncio.create_task(api.verify(signed(key, "one")))
        await eventually(lambda: issuer.asked == 2)

        await api.verify(signed(key, "one"))

        assert not verifying.done()
        issuer.may_answer.set()
        await verifying


async def test_keys_are_fetched_soon_after_an_outage():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=60, least_seconds=0.05)
        good, issuer.answer = issuer.answer, b"broken"
        with pytest.raises(KeysAway):
            await api.verify(signed(key, "one"))
        issuer.answer = good

        async def accepted() -> bool:
            try:
                return bool(await api.verify(signed(key, "one")))
            except KeysAway:
                return False

        assert await eventually(accepted)


def test_a_missing_role_is_named():
    caller = Principal(subject=uuid.uuid4(), roles=frozenset({Role.JUROR}))

    with pytest.raises(MissingRole, match="delegate or operator"):
        caller.require(Role.OPERATOR, Role.DELEGATE)


def test_a_delegate_acts_only_within_the_delegation_and_operators_anywhere():
    delegate = Principal(
        subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE}), provinces=frozenset({"MA-TIZ"})
    )
    delegate.require_province("MA-TIZ")
    Principal(subject=uuid.uuid4(), roles=frozenset({Role.OPERATOR})).require_province("MA-FES")

    for province in ("MA-FES", None):
        with pytest.raises(OutsideDelegation, match="MA-TIZ"):
            delegate.require_province(province)
