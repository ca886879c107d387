"""The registry verifying tokens with its own keys, on a database of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from devkit import pytest_plugin
from devkit.pytest_plugin import Api
from registry.identity.stored_keys import StoredKeys
from registry.identity.usecases import accounts
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import Role, Verifier
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.runtime import Runtime

from .sign_in import PASSWORD, SEALER


@pytest.fixture(scope="module")
def sign_in_url(databases: pytest_plugin.TestDatabases) -> str:
    """Sign-ins commit, so they have a database of their own."""
    return databases.fresh("registry")


@pytest.fixture(scope="module")
async def committing_api(app: FastAPI, sign_in_url: str) -> AsyncIterator[Api]:
    """The registry verifying with its own keys, as in production."""
    # Tests of a module fail from one network.
    settings = pytest_plugin.test_settings(
        "registry", sign_in_url, sign_in_failures_network=1_000_000
    )
    engine = make_engine(sign_in_url)
    sessions = make_sessions(engine)
    keys = StoredKeys(sessions)
    verifier = Verifier(keys, issuer=settings.issuer, audience=settings.audience)
    runtime = Runtime(settings=settings, sessions=sessions, verifier=verifier, sealer=SEALER)
    app.state.runtime = runtime
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Api(http, sessions, app, runtime)
    await engine.dispose()


@pytest.fixture
async def email(committing_api: Api) -> str:
    """The e-mail of a new operator."""
    address = f"operator-{uuid.uuid4().hex}@taawon.example"
    async with committing_api.sessions.begin() as session:
        await accounts.create_account(
            session, SEALER, LOCAL_OPERATOR, email=address, password=PASSWORD, roles=[Role.OPERATOR]
        )
    return address
