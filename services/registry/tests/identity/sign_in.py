"""Signing in over HTTP, as tests of tokens do it."""

from __future__ import annotations

import httpx

from devkit import pytest_plugin
from devkit.pytest_plugin import Api
from shared.kernel.encryption.sealer import Sealer

SEALER = Sealer([pytest_plugin.SEAL_KEY])
PASSWORD = "correct horse battery"


async def request_token(api: Api, **form: str) -> httpx.Response:
    return await api.http.post("/token", data=form)


async def signed_in(api: Api, email: str) -> str:
    answer = await request_token(api, grant_type="password", username=email, password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
