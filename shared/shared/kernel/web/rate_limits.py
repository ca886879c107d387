"""Rate limits per caller and per address: fixed windows of a minute, counted in this process.

Each replica counts by itself: with three of them a caller may send up to three times as many
requests. That is enough against loops and guessing; a flood has to be stopped before the services.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
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
from shared.sentences import Sentence

from . import problems

SIGN_IN: Final = "/token"
MONITORING: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that machines request every few seconds: not limited, logged, counted or traced."""
Network = IPv4Network | IPv6Network

log = structlog.get_logger()


@dataclass(frozen=True)
class Window:
    """What is `left` of a limit in the present minute, which ends in so many `seconds`."""

    name: str
    limit: int
    left: int
    seconds: int
    is_over: bool = False

    def headers(self) -> dict[str, str]:
        """The headers of the IETF draft `ratelimit-headers`."""
        headers = {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w=60',
            "RateLimit": f'"{self.name}";r={self.left};t={self.seconds}',
        }
        return headers | ({"Retry-After": str(max(self.seconds, 1))} if self.is_over else {})


class TooOften(TooManyRequests):
    """More requests in this minute than one caller may send: wait, then go on."""

    def __init__(self, window: Window) -> None:
        self.window = window
        super().__init__(
            Sentence(
                "more than {limit} requests in a minute ({name}): try again in {seconds} s",
                limit=window.limit,
                name=window.name,
                seconds=max(window.seconds, 1),
            ),
            seconds=window.seconds,
        )


class Rates:
    """Counts requests by the subject of a verified token, and all requests by address.

    A limit of 0 counts nothing.
    """

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
        """Count a request of this account or API client; None where there is no limit."""
        return self._count("caller", str(subject))

    def count_address(self, address: str, path: str) -> Window | None:
        """Count a request from this address; requests for tokens have a limit of their own."""
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
    """Refuses addresses that send too many requests, and reports in every response what is left.

    One limit is reported: that of the caller, which `requests.principal` leaves in the scope, or
    without a verified token that of the address.

    uvicorn finds the client's address: it reads `X-Forwarded-For` from the right, as far as trusted
    proxies wrote it, for the client may have invented anything further left.
    """

    def __init__(self, app: ASGIApp, rates: Rates, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._rates = rates
        # uvicorn has types of its own for the same protocol.
        named_by: Callable[..., ASGIApp] = cast(Any, ProxyHeadersMiddleware)
        self._proxied = named_by(self._limited, [str(each) for each in trusted_proxies])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in MONITORING:
            await self._app(scope, receive, send)
            return
        scope[_PEER] = scope.get("client")
        await self._proxied(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.pop(_PEER)
        if scope.get("client") != peer and not _is_address(scope["client"][0]):
            scope["client"] = peer  # what a proxy named is no address
        window = self._rates.count_address(client_address(scope), scope["path"])
        if window is not None and window.is_over:
            error = TooOften(window)
            log.warning("asked too often", limit=window.name)
            await problems.refusal(error, window.headers())(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            nearest: Window | None = scope.get("state", {}).get("rate", window)
            if message["type"] == "http.response.start" and nearest is not None:
                MutableHeaders(scope=message).update(nearest.headers())
            await send(message)

        await self._app(scope, receive, send_with_headers)


def client_address(scope: Scope) -> str:
    """The address that a request counts for; of IPv6 its /64, for one client has a whole /64.

    Inside `RateLimited` it is the one that a trusted proxy names, outside of it the socket's peer.
    """
    client = scope.get("client")
    return _counted_as(client[0] if client else "")


def client_network(scope: Scope) -> str:
    """The network that a request comes from: of IPv4 its /24, of IPv6 its /48.

    Whoever has one address of it may well have the others. Found like `client_address`.
    """
    client = scope.get("client")
    return _network_of(client[0] if client else "")


def _is_address(text: str) -> bool:
    return _address_of(text) is not None


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address; an IPv4 one that is written as IPv6 is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _counted_as(text: str) -> str:
    address = _address_of(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address.packed, 64), strict=False))
    return text if address is None else str(address)


def _network_of(text: str) -> str:
    address = _address_of(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address.packed, 48), strict=False))
    return text if address is None else str(IPv4Network((address.packed, 24), strict=False))
