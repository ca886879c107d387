"""Rate limits: by caller, by address, and stricter where tokens are issued."""

from __future__ import annotations

import time
import types
import uuid
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from devkit import pytest_plugin
from devkit.pytest_plugin import INTERNAL_PORT, Tokens
from shared.kernel.auth.tokens import Verifier
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.runtime import Runtime
from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings
from shared.kernel.web import rate_limits
from shared.kernel.web.rate_limits import RateLimited, Rates, client_address, client_network
from shared.kernel.web.requests import Caller

PROXY = ip_network("10.0.0.0/8")
OF_THIS_HOST = "127.0.0.1"


class Clock:
    """The clock of the rate limits."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    faked = types.SimpleNamespace(time=made.time, monotonic=time.monotonic)
    monkeypatch.setattr("limits.storage.memory.time", faked)
    monkeypatch.setattr("shared.kernel.web.rate_limits.time", faked)
    return made


def settings(**limits: object) -> Settings:
    return pytest_plugin.test_settings("wall", "postgresql+asyncpg://x@127.0.0.1:1/x", **limits)


def wall(tokens: Tokens, **limits: object) -> FastAPI:
    """A service with a route for callers and a route that issues tokens."""
    router = APIRouter()

    @router.get("/bricks")
    async def bricks(caller: Caller) -> str:
        return "many"

    @router.post("/token")
    async def token() -> str:
        return "none"

    known = settings(**limits)
    app = build(ServiceSpec(name="wall", routers=(router,)), known)
    verifier: Verifier = tokens.verifier
    engine = make_engine(known.database_url.get_secret_value())
    app.state.runtime = Runtime(settings=known, sessions=make_sessions(engine), verifier=verifier)
    return app


ClientFactory = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def api(tokens: Tokens, clock: Clock) -> AsyncIterator[ClientFactory]:
    clients: list[httpx.AsyncClient] = []

    def make(**limits: object) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(wall(tokens, **limits))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://test"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


async def test_a_caller_above_the_limit_is_refused_until_the_minute_is_over(
    api: ClientFactory, tokens: Tokens, clock: Clock
):
    http, headers = api(rate_limit=2), tokens.headers("operator")

    answers = [await http.get("/bricks", headers=headers) for _ in range(3)]
    clock.now += 59
    early = await http.get("/bricks", headers=headers)
    clock.now += 2
    late = await http.get("/bricks", headers=headers)

    assert [answer.status_code for answer in (*answers, early, late)] == [200, 200, 429, 429, 200]
    assert answers[0].headers["RateLimit"] == '"caller";r=1;t=60'
    assert answers[0].headers["RateLimit-Policy"] == '"caller";q=2;w=60'
    assert "Retry-After" not in answers[0].headers
    assert (answers[2].headers["Retry-After"], early.headers["Retry-After"]) == ("60", "1")
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert (answers[2].json()["code"], answers[2].json()["status"]) == ("too-often", 429)


async def test_each_caller_has_a_limit_of_its_own(api: ClientFactory, tokens: Tokens):
    http = api(rate_limit=1)

    answers = [await http.get("/bricks", headers=tokens.headers("operator")) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_several_tokens_of_one_account_count_together(api: ClientFactory, tokens: Tokens):
    http, subject = api(rate_limit=1), uuid.uuid4()

    answers = [
        await http.get("/bricks", headers=tokens.headers("operator", subject=subject))
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 429]


async def test_an_address_is_counted_also_without_a_token(api: ClientFactory):
    http = api(rate_limit_address=2)

    answers = [await http.get("/bricks") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2].headers["RateLimit"].startswith('"address";r=0')
    assert answers[2].headers["x-correlation-id"] == answers[2].json()["correlation_id"]


async def test_requests_for_tokens_have_a_stricter_limit(api: ClientFactory):
    http = api(rate_limit_address=100, rate_limit_sign_in=1)

    answers = [await http.post("/token") for _ in range(2)]
    other = await http.get("/bricks")

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["RateLimit"].startswith('"sign-in";r=0')
    assert other.status_code == 401


async def test_no_spelling_of_a_path_evades_its_limit(api: ClientFactory):
    http = api(rate_limit_address=100, rate_limit_sign_in=1)

    answers = [await http.post(path) for path in ("/token", "/token%0A", "/token")]

    assert [answer.status_code for answer in answers] == [200, 404, 429]


async def test_health_and_metrics_are_never_refused(api: ClientFactory):
    http = api(rate_limit_address=1)

    metrics = f"http://test:{INTERNAL_PORT}/metrics"
    answers = [await http.get(path) for path in ("/healthz", "/healthz", metrics, metrics)]

    assert {answer.status_code for answer in answers} == {204, 200}
    assert all("RateLimit" not in answer.headers for answer in answers)


def test_a_limit_of_zero_counts_nothing():
    counted = Rates(settings(rate_limit=0, rate_limit_address=0, rate_limit_sign_in=0))

    assert counted.count_caller(uuid.uuid4()) is None
    assert counted.count_address(OF_THIS_HOST, rate_limits.SIGN_IN) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        # No trusted proxy wrote this header: the client invented it.
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
    ],
)
async def test_the_address_is_the_one_that_a_trusted_proxy_names(
    peer: str, forwarded: list[str], address: str
):
    seen: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(client_address(scope))

    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope = {"type": "http", "path": "/", "client": (peer, 4711), "headers": headers}

    await RateLimited(app, Rates(settings()), [PROXY])(scope, nothing, nothing)

    assert seen == [address]


async def nothing(*_: object) -> dict[str, object]:
    return {}


def test_trusted_proxies_are_networks():
    assert settings(trusted_proxies="10.0.0.0/8, 192.0.2.1").trusted_proxies == (
        PROXY,
        ip_network("192.0.2.1"),
    )
    assert settings(trusted_proxies="").trusted_proxies == ()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:7:abcd::1", "2001:db8:7::/48"),
        ("no address", "no address"),
    ],
)
def test_a_network_is_what_one_client_may_have_addresses_of(address: str, network: str) -> None:
    assert client_network({"client": (address, 4711)}) == network
    assert client_network({}) == ""
