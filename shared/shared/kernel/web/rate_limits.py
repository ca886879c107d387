"""How often one caller and one address may ask: fixed windows of a minute, counted in this process.

Each replica counts by itself: with three of them a caller gets up to three times as much. That is
enough against loops and guessing; a flood is stopped in front of the services.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, cast
from uuid import UUID

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from shared.errors import TooManyRequests
from shared.kernel.settings import Settings

from . import problems

SIGN_IN: Final = "/token"
UNCOUNTED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
Network = IPv4Network | IPv6Network

log = structlog.get_logger()


@dataclass(frozen=True)
class Window:
    """What is left to somebody of a limit. `seconds` until all of it is there again."""

    name: str
    limit: int
    left: int
    seconds: int
    is_over: bool = False

    def headers(self) -> dict[str, str]:
        """The fields of the IETF draft `ratelimit-headers`."""
        alerted = {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w=60',
            "RateLimit": f'"{self.name}";r={self.left};t={self.seconds}',
        }
        return alerted | ({"Retry-After": str(max(self.seconds, 1))} if self.is_over else {})


class TooOften(TooManyRequests):
    """More requests in this minute than one caller may send: wait, then go on."""

    def __init__(self, window: Window) -> None:
        self.window = window
        super().__init__(
            f"more than {window.limit} requests in a minute ({window.name}):"
            f" try again in {max(window.seconds, 1)} s",
            seconds=window.seconds,
        )


class Rates:
    """Counts callers by the subject of their verified token, and everybody by address."""

    def __init__(self, settings: Settings) -> None:
        self._limits = {
            "caller": settings.rate_limit,
            "address": settings.rate_limit_address,
            "sign-in": settings.rate_limit_sign_in,
        }
        self._items = {
            name: RateLimitItemPerMinute(limit) for name, limit in self._limits.items() if limit
        }
        self._counts = FixedWindowRateLimiter(MemoryStorage())

    def count_caller(self, subject: UUID) -> Window | None:
        """One more request of this account or API client."""
        return self._count("caller", str(subject))

    def count_address(self, address: str, path: str) -> Window | None:
        """One more request from this address; asking for tokens has a limit of its own."""
        return self._count("sign-in" if path == SIGN_IN else "address", address)

    def _count(self, name: str, who: str) -> Window | None:
        item = self._items.get(name)
        if item is None:
            return None
        fits = self._counts.hit(item, name, who)
        seen = self._counts.get_window_stats(item, name, who)
        seconds = max(math.ceil(seen.reset_time - time.time()), 0)
        return Window(name, item.amount, seen.remaining, seconds, is_over=not fits)


_PEER: Final = "taawon.peer"


class RateLimited:
    """Refuses addresses that ask too often, and says in every response what is left.

    The nearest limit is reported: that of the caller where the token said who calls, which `web`
    leaves in the scope, else that of the address.

    Who the client is, uvicorn says: it reads `X-Forwarded-For` from the right, as far as trusted
    proxies wrote it, for anything further left the client may have made up.
    """

    def __init__(self, app: ASGIApp, rates: Rates, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._rates = rates
        # uvicorn has types of its own for the same protocol.
        named_by: Callable[..., ASGIApp] = cast(Any, ProxyHeadersMiddleware)
        self._proxied = named_by(self._limited, [str(each) for each in trusted_proxies])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        scope[_PEER] = scope.get("client")
        await self._proxied(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.pop(_PEER)
        if scope.get("client") != peer and not _is_address(scope["client"][0]):
            scope["client"] = peer  # a proxy named somebody in a form that is no address
        window = self._rates.count_address(client_address(scope), scope["path"])
        if window is not None and window.is_over:
            error = TooOften(window)
            log.warning("asked too often", limit=window.name)
            await problems.refusal(error, window.headers())(scope, receive, send)
            return

        async def send_with_rest(message: Message) -> None:
            alerted: Window | None = scope.get("state", {}).get("rate", window)
            if message["type"] == "http.response.start" and alerted is not None:
                MutableHeaders(scope=message).update(alerted.headers())
            await send(message)

        await self._app(scope, receive, send_with_rest)


def client_address(scope: Scope) -> str:
    """Who is at the other end, as it is counted: IPv6 by its /64, of which one client has plenty.

    Inside `RateLimited` it is whom a trusted proxy names, outside of it the socket's peer.
    """
    client = scope.get("client")
    return _counted_as(client[0] if client else "")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _counted_as(text: str) -> str:
    if not _is_address(text):
        return text
    address = ip_address(text)
    if not isinstance(address, IPv6Address):
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address.packed, 64), strict=False))
