"""Signing in over HTTP, as tests of tokens do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
from sqlalchemy import func, insert, literal, select, update

from devkit import pytest_plugin
from devkit.pytest_plugin import Api
from registry.identity import models
from registry.identity.usecases.accounts import email_marks
from shared.kernel.encryption.sealer import Sealer

SEALER = Sealer([pytest_plugin.SEAL_KEY])
PASSWORD = "correct horse battery"


async def request_token(api: Api, **form: str) -> httpx.Response:
    return await api.http.post("/token", data=form)


async def signed_in(api: Api, email: str) -> str:
    answer = await request_token(api, grant_type="password", username=email, password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@asynccontextmanager
async def from_address(api: Api, address: str) -> AsyncIterator[Api]:
    """The same API, from another address."""
    transport = httpx.ASGITransport(api.app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield replace(api, http=http)


async def repeat_failures(api: Api, times: int, email: str | None = None) -> None:
    """Store each failed sign-in so many times more; without an e-mail, those of everybody."""
    failures = models.sign_in_failure.c
    names = ["email_mark", "place", "by_stranger"]
    columns = [failures[name] for name in names]
    again = select(*columns, func.clock_timestamp()).join(
        func.generate_series(1, literal(times)).table_valued("n"), literal(True)
    )
    if email is not None:
        again = again.where(failures.email_mark.in_(email_marks(SEALER, email)))
    async with api.sessions.begin() as session:
        await session.execute(insert(models.sign_in_failure).from_select([*names, "at"], again))


async def let_time_pass(api: Api, passed: timedelta) -> None:
    """Let every failed sign-in be so much older."""
    failures = models.sign_in_failure
    async with api.sessions.begin() as session:
        await session.execute(update(failures).values(at=failures.c.at - passed))
