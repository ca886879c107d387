"""Whoever guesses passwords waits longer each time, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, ip_network
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select
from structlog.testing import capture_logs

from devkit.pytest_plugin import Api, eventually
from registry.app import create_app
from registry.identity import models
from registry.identity.usecases.accounts import email_mark, email_marks
from registry.identity.usecases.login_throttling import delete_old_failures, wait_for_turn

from ..builders import FAILURE_LIMIT, LONG_WAIT
from .sign_in import (
    PASSWORD,
    SEALER,
    from_address,
    let_time_pass,
    repeat_failures,
    request_token,
    signed_in,
)


@pytest.fixture
def api(committing_api: Api) -> Api:
    """Verifies tokens with the keys of its own database."""
    return committing_api


@pytest.fixture
def settings(api: Api, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets other limits for one test."""

    def change(**limits: int) -> None:
        changed = api.runtime.settings.model_copy(update=limits)
        monkeypatch.setattr(api.runtime, "settings", changed)

    return change


def an_address() -> str:
    """An address of a network that nobody else uses."""
    return str(IPv4Address(random.randrange(1 << 24, 200 << 24)))


async def sign_in(api: Api, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    form = {"grant_type": "password", "username": email, "password": password}
    return await request_token(api, **form, **more)


async def sign_in_from(api: Api, address: str, email: str, password: str = PASSWORD) -> int:
    async with from_address(api, address) as there:
        return (await sign_in(there, email, password)).status_code


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(api: Api, email: str) -> None:
    seconds = []
    for username in (email, f"nobody-{uuid.uuid4().hex}@taawon.example"):
        started = time.process_time()
        await request_token(
            api, grant_type="password", username=username, password="wrong password"
        )
        seconds.append(time.process_time() - started)

    assert min(seconds) > max(seconds) / 4


async def test_guesses_are_slowed_down_for_known_and_unknown_e_mails_alike(
    api: Api, email: str
) -> None:
    answers = []
    for username in (email, f"nobody-{uuid.uuid4().hex}@taawon.example"):
        async with from_address(api, an_address()) as there:
            first = await sign_in(there, username, "wrong")
            await repeat_failures(api, LONG_WAIT, username)
            later = await sign_in(there, username)
        answers.append((first.status_code, first.json()["detail"], later.status_code))

    assert answers[0] == answers[1]
    assert answers[0][2] == 429


ELSEWHERE = [f"198.{n}.100.7" for n in range(11)]
NEIGHBOURS = [f"203.0.113.{n}" for n in range(1, 12)]


@pytest.mark.parametrize(
    ("addresses", "judged"), [(ELSEWHERE, 100), (NEIGHBOURS, 10)], ids=["far", "neighbours"]
)
async def test_100_guesses_from_11_addresses_lock_nobody_out_of_a_clean_one(
    api: Api, email: str, settings: Any, addresses: Sequence[str], judged: int
) -> None:
    settings(sign_in_failures=10)
    guesses = [
        await sign_in_from(api, addresses[number % 11], email, "wrong") for number in range(100)
    ]

    answers = [await sign_in_from(api, an_address(), email) for _ in range(2)]

    assert set(guesses) <= {400, 429}
    assert guesses.count(400) >= judged
    assert answers == [200, 200]


async def test_a_failure_makes_the_next_guess_from_there_wait_twice_as_long(
    api: Api, email: str
) -> None:
    waits = []
    async with from_address(api, an_address()) as there:
        for _ in range(FAILURE_LIMIT):
            await sign_in(there, email, "wrong")
        for seconds in (1, 2, 4, 8):
            waits.append(int((await sign_in(there, email)).headers["retry-after"]))
            await let_time_pass(api, timedelta(seconds=seconds))
            await sign_in(there, email, "wrong")

    assert waits == [1, 2, 4, 8]


async def test_no_wait_is_longer_than_the_setting_and_its_end_lets_the_owner_in(
    api: Api, email: str
) -> None:
    longest = api.runtime.settings.sign_in_wait_seconds  # type: ignore[attr-defined]  # of the registry
    async with from_address(api, an_address()) as there:
        await sign_in(there, email, "wrong")
        await repeat_failures(api, 60, email)
        waits = await sign_in(there, email)
        await let_time_pass(api, timedelta(seconds=longest))
        answer = await sign_in(there, email)
        # A success counts the failures from there no more.
        await sign_in(there, email, "wrong")
        again = await sign_in(there, email)

    seconds = int(waits.headers["retry-after"])
    assert (waits.status_code, waits.json()["code"]) == (429, "too-many-failures")
    assert longest - 60 < seconds <= longest
    assert f"{seconds} s" in waits.json()["detail"]
    assert (answer.status_code, again.status_code) == (200, 200)


async def test_where_many_networks_guess_each_has_one_guess_and_the_owner_has_it_too(
    api: Api, email: str, settings: Any
) -> None:
    settings(sign_in_failures_everywhere=3)
    for _ in range(3):
        await sign_in_from(api, an_address(), email, "wrong")
    attacker, owner = an_address(), an_address()

    guesses = [await sign_in_from(api, attacker, email, "wrong") for _ in range(2)]

    assert guesses == [400, 429]
    assert await sign_in_from(api, owner, email) == 200


async def test_that_many_networks_guess_is_logged_once_without_anything_of_the_person(
    api: Api, email: str, settings: Any
) -> None:
    settings(sign_in_failures_everywhere=2)
    with capture_logs() as logs:
        for _ in range(4):
            await sign_in_from(api, an_address(), email, "wrong")

    (entry,) = [each for each in logs if each["event"] == "password guessed"]
    assert set(entry) == {"event", "log_level", "account_id", "failures"}
    assert email not in str(logs)


async def test_one_network_that_tries_many_e_mails_is_slowed_down_and_no_other_is(
    api: Api, email: str, settings: Any
) -> None:
    settings(sign_in_failures_network=4)
    there = an_address()
    for number in range(4):
        await sign_in_from(api, there, f"{number}-{uuid.uuid4().hex}@taawon.example", "wrong")
    async with from_address(api, there) as network:
        await repeat_failures_from(api, there)
        refused = await sign_in(network, email)

    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-failures")
    assert await sign_in_from(api, an_address(), email) == 200


async def repeat_failures_from(api: Api, address: str) -> None:
    """Let the network of this address fail so often that it waits for minutes."""
    network = ip_network(f"{address}/24", strict=False)
    row = {"email_mark": uuid.uuid4().hex, "place": SEALER.mark(f"network\0{network}")}
    async with api.sessions.begin() as session:
        rows = [row | {"by_stranger": True}] * LONG_WAIT
        await session.execute(insert(models.sign_in_failure), rows)


async def test_a_forwarded_address_counts_only_if_a_trusted_proxy_names_it(
    api: Api, email: str
) -> None:
    named = {"X-Forwarded-For": an_address()}
    async with from_address(api, an_address()) as there:
        await guess(there, email, {"X-Forwarded-For": an_address()})
        await repeat_failures(api, LONG_WAIT, email)
        forged = await guess(there, email, named)

    async with behind_a_proxy(api) as proxied:
        answers = [await guess(proxied, email, named)]
        await repeat_failures(api, LONG_WAIT, email)
        answers.append(await guess(proxied, email, named))
        answers.append(await guess(proxied, email, {"X-Forwarded-For": an_address()}))

    assert (forged, answers) == (429, [400, 429, 400])


async def guess(api: Api, email: str, headers: dict[str, str]) -> int:
    form = {"grant_type": "password", "username": email, "password": "wrong"}
    return (await api.http.post("/token", data=form, headers=headers)).status_code


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


async def test_guesses_that_come_together_get_no_more_answers_than_one_by_one(
    api: Api, email: str
) -> None:
    async with from_address(api, an_address()) as there:
        async with api.sessions.begin() as session:
            await wait_for_turn(session, email_marks(SEALER, email))
            guesses = [
                asyncio.create_task(sign_in(there, email, "wrong"))
                for _ in range(FAILURE_LIMIT + 3)
            ]
            await eventually(lambda: waiting(api, len(guesses)))
        answers = await asyncio.gather(*guesses)

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {400: FAILURE_LIMIT, 429: 3}


async def test_the_right_guess_is_refused_too_when_others_were_judged_meanwhile(
    api: Api, email: str
) -> None:
    async with from_address(api, an_address()) as there:
        for _ in range(FAILURE_LIMIT - 1):
            await sign_in(there, email, "wrong")
        async with api.sessions.begin() as session:
            await wait_for_turn(session, email_marks(SEALER, email))
            together = []
            for password in ("wrong", PASSWORD):
                together.append(asyncio.create_task(sign_in(there, email, password)))
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


async def test_the_owner_is_shown_what_unknown_devices_failed_at(api: Api, email: str) -> None:
    headers = {"Authorization": f"Bearer {await signed_in(api, email)}"}
    path = await path_of(api, email)
    before = await api.http.get(path, headers=headers)
    for _ in range(2):
        await sign_in_from(api, an_address(), email, "wrong")
    await sign_in_from(api, "198.51.77.1", email, "wrong")
    await sign_in_from(api, "198.51.77.9", email, "wrong")
    # Whoever guesses right hides nothing by it.
    await sign_in_from(api, "198.51.77.9", email)

    shown = (await api.http.get(path, headers=headers)).json()["failed_sign_ins"]

    assert before.json()["failed_sign_ins"] is None
    assert (shown["failures"], shown["networks"]) == (4, 3)
    assert shown["since"]


async def path_of(api: Api, email: str) -> str:
    async with api.sessions() as session:
        wanted = models.account.c.email_mark == email_mark(SEALER, email)
        return f"/accounts/{await session.scalar(select(models.account.c.id).where(wanted))}"


async def test_a_new_password_ends_the_notice(api: Api, email: str) -> None:
    headers = {"Authorization": f"Bearer {await signed_in(api, email)}"}
    path = await path_of(api, email)
    await sign_in_from(api, an_address(), email, "wrong")
    new = "another horse, another battery"

    body = {"password": new, "current_password": PASSWORD}
    changed = await api.http.put(f"{path}/password", json=body, headers=headers)

    token = (await sign_in(api, email, new)).json()["access_token"]
    shown = await api.http.get(path, headers={"Authorization": f"Bearer {token}"})
    assert (changed.status_code, shown.json()["failed_sign_ins"]) == (204, None)


async def test_what_an_owner_is_shown_is_kept_and_what_nobody_is_shown_is_not(
    api: Api, email: str
) -> None:
    nobody = f"nobody-{uuid.uuid4().hex}@taawon.example"
    for username in (email, nobody):
        await sign_in_from(api, an_address(), username, "wrong")
    await let_time_pass(api, timedelta(minutes=61))
    async with api.sessions.begin() as session:
        await delete_old_failures(session)

    kept = [await count_of(api, username) for username in (email, nobody)]
    await let_time_pass(api, timedelta(days=30))
    async with api.sessions.begin() as session:
        await delete_old_failures(session)

    assert (kept, await count_of(api, email)) == ([1, 0], 0)


async def count_of(api: Api, email: str) -> int:
    failures = models.sign_in_failure.c
    async with api.sessions() as session:
        query = select(func.count()).where(failures.email_mark == email_mark(SEALER, email))
        return int(await session.scalar(query) or 0)
