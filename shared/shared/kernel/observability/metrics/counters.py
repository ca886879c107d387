"""Metrics of the HTTP API, and how to count only what was committed.

Labels are bounded: templates of routes, classes of status codes, codes of problems. Never an id,
a path, or anything that a caller chooses.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Histogram
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "taawon_http_request_duration_seconds",
    "Time from a request to the end of its response, by route template and class of status.",
    ["method", "route", "status"],
    buckets=SECONDS,
)
REFUSALS = Counter(
    "taawon_refusals_total",
    "Requests refused with a problem, by its code; too-many-failures: a sign-in has to wait.",
    ["code"],
)
# A series has to begin at 0: otherwise its first increase is not seen.
REFUSALS.labels("too-often")


def answered(scope: Scope, status: int, seconds: float) -> None:
    """Count a request that took so many seconds."""
    method = scope["method"] if scope["method"] in METHODS else "other"
    REQUESTS.labels(method, route_of(scope), f"{status // 100}xx").observe(seconds)


def route_of(scope: Scope) -> str:
    """The template of the route, so that ids are no labels; `UNMATCHED` where no route matched."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED


def refused(code: str) -> None:
    """Count a response that was a problem."""
    REFUSALS.labels(code).inc()


def after_commit(session: AsyncSession, count: Callable[[], None]) -> None:
    """Call `count` once the transaction is committed, and never where it is rolled back."""
    event.listen(session.sync_session, "after_commit", lambda _: count(), once=True)
