"""The issuer's keys: fetched, cached, and fetched again when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from joserfc.jwk import OKPKey

from devkit.pytest_plugin import Tokens, eventually
from shared.kernel.auth.tokens import FetchedKeys, InvalidToken, KeysAway, Verifier

from .signing import a_key, public, signed


class Issuer:
    """A small HTTP server that publishes keys and counts requests."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.requests = 0
        self.url = ""
        self.may_answer = asyncio.Event()
        """Cleared while it does not answer."""
        self.may_answer.set()

    def publish(self, *keys: OKPKey) -> None:
        self.answer = orjson.dumps(public(*keys))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
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


async def test_keys_are_fetched_once_for_many_tokens():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url)

        await asyncio.gather(*(api.verify(signed(key, "one")) for _ in range(20)))

        assert issuer.requests == 1


async def test_keys_are_fetched_again_for_a_token_of_a_new_key():
    old, new = a_key("old"), a_key("new")
    async with issuing(old) as issuer:
        api = verifier(issuer.url, least_seconds=0)
        await api.verify(signed(old, "old"))
        issuer.publish(old, new)

        await api.verify(signed(new, "new"))
        await api.verify(signed(old, "old"))

        assert issuer.requests == 2


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

        assert issuer.requests <= 2


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"null", b'{"keys": 7}', b'{"keys":[{}]}'])
async def test_after_an_unreadable_answer_the_known_keys_stay(answer):
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=0, least_seconds=0)
        await api.verify(signed(key, "one"))
        issuer.answer = answer

        await api.verify(signed(key, "one"))

        assert issuer.requests == 2


async def test_unknown_key_names_cost_no_more_while_the_issuer_is_down():
    key = a_key("one")
    async with issuing(key) as issuer:
        api = verifier(issuer.url, fresh_seconds=0, least_seconds=60)
        await api.verify(signed(key, "one"))
        issuer.answer = b"broken"

        for number in range(20):
            with pytest.raises(InvalidToken):
                await api.verify(signed(key, f"unknown-{number}"))

        assert issuer.requests == 1


async def test_an_issuer_that_was_never_there_is_not_asked_for_every_token():
    async with issuing() as issuer:
        issuer.answer = b"broken"
        api = verifier(issuer.url)

        for number in range(20):
            with pytest.raises(KeysAway):
                await api.verify(signed(a_key("one"), f"unknown-{number}"))

        assert issuer.requests == 1


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
        await eventually(lambda: issuer.requests == 2)

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
