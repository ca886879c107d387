"""What an operator's commands need to know of a system that runs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from shared.kernel.messaging.management import Management

LOCAL_STACK_GROUP = "taawon.local_stack"
"""Where a package offers a function without arguments that makes the `LocalStack`."""


class LocalStack(Protocol):
    """The system that `taawon up` started in one folder; looking at it starts nothing."""

    @property
    def folder(self) -> Path:
        """Where it keeps what it started."""

    @property
    def operator(self) -> str:
        """The e-mail that its operator signs in with."""

    @property
    def operator_password(self) -> Path:
        """The file that holds the operator's password, once there is one."""

    def was_started(self) -> bool:
        """Whether anything was ever started in the folder."""

    def url(self, service: str) -> str:
        """Where the service answers over HTTP."""

    def log_of(self, process: str) -> Path:
        """The log of one process."""

    def stopped(self) -> tuple[str, ...]:
        """Processes beside the services that should run, and do not."""

    def crash_loops(self) -> dict[str, int]:
        """Processes that end soon after each start, and how often in a row."""

    def management(self) -> Management | None:
        """The broker's management API; None where no broker of it runs, OSError where it fails."""


def find_local_stack() -> LocalStack | None:
    """The one that an installed package offers; None on a machine without any."""
    for entry in entry_points(group=LOCAL_STACK_GROUP):
        make: Callable[[], LocalStack] = entry.load()
        return make()
    return None
