"""A device that has signed in before is not slowed down by what strangers fail at."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from devkit.pytest_plugin import Api
from registry.app import create_app
from registry.identity import models
from registry.identity.api.tokens import DEVICE_COOKIE
from registry.identity.usecases import known_devices
from registry.identity.usecases.accounts import email_mark
from registry.identity.usecases.known_devices import MOST_DEVICES
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import LONG_WAIT
from .sign_in import PASSWORD, SEALER, repeat_failures, request_token


@pytest.fixture
def api(committing_api: Api) -> Api:
    """Verifies tokens with the keys of its own database."""
    return committing_api


async def sign_in(api: Api, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    form = {"grant_type": "password", "username": email, "password": password}
    return await request_token(api, **form, **more)


async def known(api: Api, email: str) -> dict[str, str]:
    """The device token of a first sign-in, as the form field of the next."""
    return {"device_token": (await sign_in(api, email)).json()["device_token"]}


async def guessed_by_strangers(api: Api, email: str) -> None:
    """Strangers of the same network fail so often that unknown devices wait for minutes."""
    await sign_in(api, email, "wrong")
    await repeat_failures(api, LONG_WAIT, email)


async def test_a_known_device_signs_in_while_unknown_ones_of_its_network_wait(
    api: Api, email: str
) -> None:
    device = await known(api, email)
    await guessed_by_strangers(api, email)

    unknown = await sign_in(api, email)
    answer = await sign_in(api, email, **device)

    assert (unknown.status_code, answer.status_code) == (429, 200)
    assert answer.json()["device_token"] == device["device_token"]


async def test_a_browser_is_known_by_its_cookie(api: Api, email: str) -> None:
    transport = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as http:
        browser = replace(api, http=http)
        first = await sign_in(browser, email)
        await guessed_by_strangers(api, email)
        answer = await sign_in(browser, email)

    cookie = first.headers["set-cookie"]
    assert cookie.startswith(f"{DEVICE_COOKIE}={first.json()['device_token']};")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert answer.status_code == 200


async def test_a_known_device_is_slowed_down_by_its_own_failures(api: Api, email: str) -> None:
    device = await known(api, email)
    wrong = await sign_in(api, email, "wrong", **device)
    await repeat_failures(api, LONG_WAIT, email)

    answers = [await sign_in(api, email, **device), await sign_in(api, email)]

    assert wrong.status_code == 400
    assert [answer.status_code for answer in answers] == [429, 200]


async def test_a_device_is_known_for_its_own_account_only(api: Api, email: str) -> None:
    other = f"nobody-{uuid.uuid4().hex}@taawon.example"
    device = await known(api, email)
    await guessed_by_strangers(api, other)

    answers = [
        await sign_in(api, other, **device),
        await sign_in(api, other, device_token="made up"),
        await sign_in(api, other),
    ]

    assert [answer.status_code for answer in answers] == [429, 429, 429]


async def test_a_token_that_is_not_ours_is_not_taken_over(api: Api, email: str) -> None:
    answer = await sign_in(api, email, device_token="chosen by somebody else")

    assert answer.status_code == 200
    assert answer.json()["device_token"] != "chosen by somebody else"


async def test_a_device_is_known_after_a_restart(api: Api, email: str, sign_in_url: str) -> None:
    device = await known(api, email)
    await guessed_by_strangers(api, email)

    async with restarted(api, sign_in_url) as again:
        answers = [await sign_in(again, email), await sign_in(again, email, **device)]

    assert [answer.status_code for answer in answers] == [429, 200]


@asynccontextmanager
async def restarted(api: Api, url: str) -> AsyncIterator[Api]:
    """The same service as another process, which knows nothing but the database."""
    app = create_app(api.runtime.settings)
    engine = make_engine(url)
    sessions = make_sessions(engine)
    app.state.runtime = replace(api.runtime, sessions=sessions)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield replace(api, app=app, http=http, sessions=sessions)
    await engine.dispose()


async def test_no_token_is_stored_in_clear(api: Api, email: str) -> None:
    device = await known(api, email)

    async with api.sessions() as session:
        rows = (await session.execute(select(models.known_device))).all()

    assert rows
    assert device["device_token"] not in str(rows)


async def test_a_new_password_ends_what_devices_are_known(api: Api, email: str) -> None:
    first = await sign_in(api, email)
    device = {"device_token": first.json()["device_token"]}
    new = "another horse, another battery"
    async with api.sessions() as session:
        mark = models.account.c.email_mark == email_mark(SEALER, email)
        account_id = await session.scalar(select(models.account.c.id).where(mark))
    await api.http.put(
        f"/accounts/{account_id}/password",
        json={"password": new, "current_password": PASSWORD},
        headers={"Authorization": f"Bearer {first.json()['access_token']}"},
    )
    await guessed_by_strangers(api, email)

    assert (await sign_in(api, email, new, **device)).status_code == 429


async def test_a_device_is_known_until_it_did_not_sign_in_for_long(api: Api, email: str) -> None:
    device = await known(api, email)
    await guessed_by_strangers(api, email)
    devices = models.known_device
    async with api.sessions.begin() as session:
        late = func.clock_timestamp() - timedelta(seconds=1)
        await session.execute(update(devices).values(expires_at=late))

    answer = await sign_in(api, email, **device)
    async with api.sessions.begin() as session:
        await known_devices.delete_expired_devices(session)
        left = await session.scalar(select(func.count()).select_from(devices))

    assert (answer.status_code, left) == (429, 0)


async def test_programs_that_keep_no_token_drive_out_no_device_that_comes_back(
    api: Api, email: str
) -> None:
    device = await known(api, email)
    await sign_in(api, email, **device)
    async with api.sessions() as session:
        mark = models.account.c.email_mark == email_mark(SEALER, email)
        account_id = await session.scalar(select(models.account.c.id).where(mark))
    assert account_id is not None
    for _ in range(MOST_DEVICES + 5):
        async with api.sessions.begin() as session:
            await known_devices.remember_device(session, account_id, None, "", days=1)

    await guessed_by_strangers(api, email)

    assert (await sign_in(api, email, **device)).status_code == 200
    async with api.sessions() as session:
        owned = models.known_device.c.account_id == account_id
        assert await session.scalar(select(func.count()).where(owned)) == MOST_DEVICES + 1
