"""The API of a service in process, with tokens and settings of the test's own."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.fernet import Fernet
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from shared.kernel.auth.tokens import ALGORITHM, LoadedKeys, Role, Verifier
from shared.kernel.data.revocations import Revocations
from shared.kernel.encryption.sealer import Sealer, attach_sealer
from shared.kernel.installed import installed_services
from shared.kernel.runtime import Runtime
from shared.kernel.service.spec import spec_of
from shared.kernel.settings import Settings

from .testing_databases import rolled_back

INTERNAL_PORT = 9100
SEAL_KEY = Fernet.generate_key().decode()


class Tokens:
    """An issuer of the test's own."""

    issuer = "taawon-registry"
    audience = "taawon"

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig", "alg": ALGORITHM})

    @property
    def verifier(self) -> Verifier:
        """Verifies the tokens of this issuer, without any fetch of keys."""
        public = KeySet([OKPKey.import_key(self.key.as_dict(private=False))])

        async def load() -> KeySet:
            return public

        return Verifier(LoadedKeys(load), issuer=self.issuer, audience=self.audience)

    def issue(
        self,
        *roles: Role | str,
        subject: uuid.UUID | None = None,
        provinces: Iterable[str] = (),
        partner: str | None = None,
        cooperatives: Iterable[uuid.UUID] = (),
        **claims: Any,
    ) -> str:
        """A signed token; `claims` replace what it would say otherwise."""
        body = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject or uuid.uuid4()),
            "iat": int(time.time()),
            "exp": int(time.time()) + 24 * 3600,
            "roles": [str(role) for role in roles],
            "provinces": list(provinces),
            "partner": partner,
            "cooperatives": [str(c) for c in cooperatives],
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": "test"}, body, self.key, [ALGORITHM])

    def headers(self, *roles: Role | str, **more: Any) -> dict[str, str]:
        """The header of a request with a token as `issue` makes it."""
        return {"Authorization": f"Bearer {self.issue(*roles, **more)}"}


def test_settings(service: str, database_url: str, **overrides: Any) -> Settings:
    """Settings of a service under test; nothing comes from the environment."""
    kind = spec_of(service).settings if service in installed_services() else Settings
    return kind(
        service=service,
        **{
            "database_url": database_url,
            "amqp_url": "amqp://nobody@127.0.0.1:1/",
            "jwks_url": "http://127.0.0.1:1/",
            "seal_keys": SEAL_KEY,
            "internal_port": INTERNAL_PORT,
            # Many tests in one minute, all from one address.
            "rate_limit": 0,
            "rate_limit_address": 0,
            "rate_limit_sign_in": 0,
            **overrides,
        },
    )


test_settings.__test__ = False  # type: ignore[attr-defined]  # a builder, not a test


ANY_VERSION = {"If-Match": "*"}
"""The steps of a test fit whatever version there is, unless the test sends another."""


@dataclass
class Api:
    """The HTTP API of a service, in process, on a database that is rolled back."""

    http: httpx.AsyncClient
    sessions: async_sessionmaker[AsyncSession]
    app: FastAPI
    runtime: Runtime

    async def internal(self, path: str, method: str = "GET") -> httpx.Response:
        """What this path is answered on the internal port."""
        return await self.http.request(method, f"http://test:{INTERNAL_PORT}{path}")


@asynccontextmanager
async def api(
    create_app: Callable[[Settings], FastAPI],
    service: str,
    database_url: str,
    tokens: Tokens,
    **overrides: Any,
) -> AsyncIterator[Api]:
    """Drive the service's routes without its broker; every commit is rolled back at the end."""
    settings = test_settings(service, database_url, **overrides)
    app = create_app(settings)
    async with rolled_back(database_url) as sessions:
        attach_sealer(sessions, Sealer([SEAL_KEY]))
        runtime = Runtime(
            settings=settings,
            sessions=sessions,
            verifier=tokens.verifier,
            sealer=Sealer([SEAL_KEY]),
        )
        runtime.revocations = Revocations(sessions, fresh_seconds=0)
        app.state.runtime = runtime
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=ANY_VERSION
        ) as http:
            yield Api(http, sessions, app, runtime)
