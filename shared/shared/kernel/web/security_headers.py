"""What every answer tells a browser: run nothing of it, show it in no frame, and keep no copy.

The server puts these before the headers of an answer, also of those that no application gives: a
malformed request, too many connections. That costs less than one more middleware.
"""

from __future__ import annotations

from typing import Final

STATIC: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
)
NO_STORE: Final = (b"cache-control", b"no-store")
"""For every answer of which its route says nothing else: most are somebody's own."""
Headers = list[tuple[bytes, bytes]]


def security_headers(hsts_seconds: int) -> list[tuple[str, str]]:
    """The headers of every answer; `hsts_seconds` of 0 promises nothing about TLS."""
    if not hsts_seconds:
        return [*STATIC]
    return [*STATIC, ("Strict-Transport-Security", f"max-age={hsts_seconds}")]


def with_cache_control(headers: Headers) -> Headers:
    """The headers of an answer, of which nobody keeps a copy unless they say otherwise."""
    for name, _ in headers:
        if name == b"cache-control":
            return headers
    return [*headers, NO_STORE]
