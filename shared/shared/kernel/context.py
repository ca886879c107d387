"""The context of the work at hand: one correlation id from the request to the last consumer."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import structlog

_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
CORRELATION = r"^[A-Za-z0-9_.:-]{1,80}$"
_CORRELATION = re.compile(CORRELATION)


def is_traceparent(value: object) -> bool:
    """Whether it is a W3C `traceparent` of version 00; ids of zeros only are invalid there."""
    if not isinstance(value, str) or _TRACEPARENT.fullmatch(value) is None:
        return False
    _, trace_id, parent_id, _ = value.split("-")
    return bool(trace_id.strip("0") and parent_id.strip("0"))


def _new_traceparent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


@dataclass(frozen=True)
class WorkContext:
    """Identifiers that travel with the work: W3C trace context, correlation and causation ids."""

    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    causation_id: str | None = None
    traceparent: str = field(default_factory=_new_traceparent)
    is_continued: bool = False
    """Whether the caller gave the trace: otherwise the first span has no parent."""

    @classmethod
    def of(
        cls,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> WorkContext:
        """A context of the ids that a caller sent; missing or malformed ones are made anew."""
        fresh = cls()
        known = is_traceparent(traceparent)
        return replace(
            fresh,
            correlation_id=correlation_id
            if correlation_id and _CORRELATION.fullmatch(correlation_id)
            else fresh.correlation_id,
            causation_id=causation_id,
            traceparent=traceparent if traceparent and known else fresh.traceparent,
            is_continued=known,
        )

    @property
    def trace_id(self) -> str:
        """The 32 hexadecimal digits that name the trace."""
        return self.traceparent.split("-")[1]

    def child_traceparent(self) -> str:
        """The same trace with a new span id, for the next hop."""
        version, trace, _, flags = self.traceparent.split("-")
        return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"


_current: ContextVar[WorkContext | None] = ContextVar("work_context", default=None)


def current() -> WorkContext:
    """The context of this task; where none was given (in a command, a timed job) one is made."""
    context = _current.get()
    if context is None:
        context = WorkContext()
        _current.set(context)
    return context


@contextmanager
def working(context: WorkContext, **log_fields: object) -> Iterator[WorkContext]:
    """What runs inside has this context; its log lines have the ids and `log_fields`."""
    token = _current.set(context)
    fields = {
        "correlation_id": context.correlation_id,
        "trace_id": context.trace_id,
        **log_fields,
    }
    try:
        with structlog.contextvars.bound_contextvars(**fields):
            yield context
    finally:
        _current.reset(token)
