"""Guessing passwords is stopped, and whoever knows theirs still signs in."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import httpx
import pytest

from devkit.pytest_plugin import Api, eventually
from registry.app import create_app
from registry.identity.usecases.accounts import email_marks
from registry.identity.usecases.login_throttling import wait_for_turn

from ..builders import FAILURE_LIMIT
from .sign_in import PASSWORD, SEALER, request_token, signed_in


@pytest.fixture
def api(committing_api: Api) -> Api:
    """Verifies tokens with the keys of its own database."""
    return committing_api


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(api: Api, email: str) -> None:
    seconds = []
    for username in (email, f"nobody-{uuid.uuid4().hex}@taawon.example"):
        started = time.process_time()
        await request_token(
            api, grant_type="password", username=username, password="wrong password"
        )
        seconds.append(time.process_time() - started)

    assert min(seconds) > max(seconds) / 4


async def test_guessing_is_stopped_for_known_and_unknown_addresses_alike(
    api: Api, email: str
) -> None:
    statuses = {}
    for username in (email, f"nobody-{uuid.uuid4().hex}@taawon.example"):
        for _ in range(FAILURE_LIMIT):
            await request_token(api, grant_type="password", username=username, password="wrong")
        answer = await request_token(
            api, grant_type="password", username=username, password=PASSWORD
        )
        statuses[username] = answer.status_code

    assert set(statuses.values()) == {429}


@asynccontextmanager
async def from_address(api: Api, address: str) -> AsyncIterator[Api]:
    """The same API, from another address."""
    transport = httpx.ASGITransport(api.app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield replace(api, http=http)


async def guessed(api: Api, email: str, times: int = FAILURE_LIMIT, **headers: str) -> list[int]:
    """The status codes of so many sign-ins with a wrong password."""
    form = {"grant_type": "password", "username": email, "password": "wrong"}
    return [
        (await api.http.post("/token", data=form, headers=headers)).status_code
        for _ in range(times)
    ]


async def test_guesses_from_another_address_lock_out_that_address_and_nobody_else(
    api: Api, email: str
) -> None:
    async with from_address(api, "203.0.113.9") as elsewhere:
        await guessed(elsewhere, email)

        await signed_in(api, email)

        assert await guessed(elsewhere, email, 1) == [429]


async def test_guesses_from_many_addresses_are_stopped_too(
    api: Api, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"sign_in_failures_everywhere": 3, "sign_in_failures": 2}
    monkeypatch.setattr(api.runtime, "settings", api.runtime.settings.model_copy(update=few))
    statuses = []
    for number in range(4):
        async with from_address(api, f"203.0.113.{number}") as elsewhere:
            statuses += await guessed(elsewhere, email, 1)

    answer = await request_token(api, grant_type="password", username=email, password=PASSWORD)

    assert (statuses, answer.status_code) == ([400, 400, 400, 429], 429)


async def test_a_forwarded_address_counts_only_if_a_trusted_proxy_names_it(
    api: Api, email: str
) -> None:
    for number in range(FAILURE_LIMIT):
        await guessed(api, email, 1, **{"X-Forwarded-For": f"203.0.113.{number}"})
    forged = await guessed(api, email, 1, **{"X-Forwarded-For": "203.0.113.77"})

    async with behind_a_proxy(api) as proxied:
        named = await guessed(proxied, email, 1, **{"X-Forwarded-For": "203.0.113.77"})

    assert (forged, named) == ([429], [400])


@asynccontextmanager
async def behind_a_proxy(api: Api) -> AsyncIterator[Api]:
    """The same service as it is built where the caller's address is that of a trusted proxy."""
    trusted = {"trusted_proxies": (ip_network("127.0.0.1"),)}
    app = create_app(api.runtime.settings.model_copy(update=trusted))
    app.state.runtime = api.runtime
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as http:
        yield replace(api, app=app, http=http)


async def test_a_lock_out_says_how_long_it_lasts(api: Api, email: str) -> None:
    await guessed(api, email)

    answer = await request_token(api, grant_type="password", username=email, password=PASSWORD)

    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-failures")
    assert 15 * 60 - 60 < int(answer.headers["retry-after"]) <= 15 * 60
    assert answer.headers["retry-after"] in answer.json()["detail"]


async def test_guesses_that_come_together_get_no_more_answers_than_one_by_one(
    api: Api, email: str
) -> None:
    guess = {"grant_type": "password", "username": email, "password": "wrong"}

    answers = await asyncio.gather(*(request_token(api, **guess) for _ in range(FAILURE_LIMIT + 5)))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {400: FAILURE_LIMIT, 429: 5}


async def test_the_right_guess_is_refused_too_when_others_were_judged_meanwhile(
    api: Api, email: str
) -> None:
    guess = {"grant_type": "password", "username": email}
    for _ in range(FAILURE_LIMIT - 1):
        await request_token(api, **guess, password="wrong")

    async with api.sessions.begin() as session:
        await wait_for_turn(session, email_marks(SEALER, email))
        together = []
        for password in ("wrong", PASSWORD):
            together.append(asyncio.create_task(request_token(api, **guess, password=password)))
            await eventually(lambda: waiting(api, len(together)))

    assert [(await each).status_code for each in together] == [400, 429]


async def waiting(api: Api, count: int) -> bool:
    """Whether so many guesses wait for their turn."""
    async with api.sessions() as session:
        connection = await session.connection()
        locks = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
        )
        return bool(locks.scalar_one() == count)
