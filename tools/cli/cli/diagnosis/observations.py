"""What was looked at, and what can be found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from shared.kernel.admin.schemas import SealedOut, Status


class Severity(StrEnum):
    """Error: somebody is not alerted, or will not be. Warning: look soon. Info: good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and what to do next."""

    severity: Severity
    code: str
    about: str
    what: str
    next_step: str
    command: str | None = None


@dataclass(frozen=True)
class ServiceObservation:
    """One service from outside; `causes` says why a check fails.

    `unready` is why no check is known, `refused` why no status is, and `wants_token` whether a
    token would change that; `not_counted` is why sealed values are not. `clock_ahead_seconds` is
    how far its clock is from ours. `log` and `last_line` are known on this machine only.
    """

    name: str
    url: str
    up: bool = True
    checks: dict[str, bool] = field(default_factory=dict)
    causes: dict[str, str] = field(default_factory=dict)
    unready: str | None = None
    status: Status | None = None
    sealed: SealedOut | None = None
    not_counted: str | None = None
    refused: str | None = None
    wants_token: bool = False
    clock_ahead_seconds: float | None = None
    log: str | None = None
    last_line: str | None = None


@dataclass(frozen=True)
class QueueObservation:
    """One queue as the management API counts it; its counts are some seconds old.

    `leaving` are messages whose time in it is over, and which nobody has taken over yet.
    """

    name: str
    messages: int = 0
    consumers: int | None = None
    unacknowledged: int = 0
    leaving: int = 0

    @property
    def ready(self) -> int:
        """Messages that nobody works on yet."""
        return self.messages - self.unacknowledged


@dataclass(frozen=True)
class BrokerObservation:
    """The broker, where its management API is known. `trouble` says why nothing was seen.

    `alarms` names what stops all publishing, `memory` or `disk`, and the node.
    """

    queues: tuple[QueueObservation, ...] = ()
    partner_queues: tuple[QueueObservation, ...] = ()
    alarms: tuple[str, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True)
class Observations:
    """Everything that was looked at. `consumers` are the queues that must exist.

    `crash_loops` are processes that end soon after each start, and how often in a row.
    `here`: it is what `taawon up` started on this machine. `not_named` are services that nobody
    asked to be looked at.
    """

    services: tuple[ServiceObservation, ...]
    consumers: tuple[str, ...] = ()
    broker: BrokerObservation | None = None
    signing_keys: int | None = None
    keys_url: str | None = None
    sealing: frozenset[str] = frozenset()
    stopped: tuple[str, ...] = ()
    crash_loops: dict[str, int] = field(default_factory=dict)
    not_named: tuple[str, ...] = ()
    here: bool = False


Rule = Callable[[Observations], Iterator[Finding]]


def known_statuses(seen: Observations) -> Iterator[tuple[str, Status]]:
    """Each service that reported how it stands."""
    for one in seen.services:
        if one.status is not None:
            yield one.name, one.status
