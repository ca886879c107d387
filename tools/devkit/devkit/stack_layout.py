"""The whole system on one machine by its names: where each part is, without the means to run it.

Commands that only look need no more, and start in a fraction of the time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shared import json_text
from shared.kernel.installed import installed_services
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST
from shared.kernel.messaging.management import Management

from .processes import Process

__all__ = ["OPERATOR", "PARTNER_VHOST", "PROVISIONER", "SERVICES", "SUPERVISOR", "VHOST", "Place"]

SERVICES = installed_services()
PROVISIONER = "partners-provisioner"
SUPERVISOR = "supervisor"
"""The process that starts the others again (`devkit.supervisor`)."""
OPERATOR = "operator@taawon.invalid"
"""Who `taawon up` makes; the password is kept in the folder."""


def stack_folder() -> Path:
    """Where `taawon up` keeps what it started."""
    return Path(os.environ.get("TAAWON_RUN", ".run")) / "stack"


@dataclass
class Place:
    """The folder of one stack, and where its parts are."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()

    def was_started(self) -> bool:
        """Whether anything was ever started in this folder."""
        return (self.folder / "ports").is_dir()

    def url(self, service: str) -> str:
        """Where the service answers over HTTP; port 0 where it was never started."""
        port = self.port_file(service)
        number = port.read_text().strip() if port.exists() else "0"
        return f"http://127.0.0.1:{number}"

    def internal_url(self, process: str) -> str:
        """Where a process answers with its metrics, and a service describes itself."""
        return f"http://127.0.0.1:{self.internal_port_file(process).read_text().strip()}"

    def port_file(self, service: str) -> Path:
        """The file that keeps the port of the service."""
        return self.folder / "ports" / service

    def internal_port_file(self, process: str) -> Path:
        """The file that keeps the internal port of a service or of the provisioner."""
        return self.folder / "ports" / f"{process}.internal"

    def process(self, name: str) -> Process:
        """The process of a service or of the provisioner, running or not."""
        return Process(self.folder / "processes", name)

    def server(self, name: str) -> Process:
        """The process of a private server, `postgres` or `rabbitmq`, running or not."""
        return Process(self.folder / name, name)

    @property
    def operator(self) -> str:
        """The e-mail that the operator signs in with."""
        return OPERATOR

    def heartbeat_file(self, process: str) -> Path:
        """Where a process writes every second that it lives."""
        return self.folder / "processes" / f"{process}.heartbeat"

    def log_of(self, process: str) -> Path:
        """The log of one process."""
        return self.process(process).log

    def stopped(self) -> tuple[str, ...]:
        """Processes beside the services that should run, and do not."""
        supervisor = self.process(SUPERVISOR)
        # Only `taawon up` has one; it removes the record when it ends it.
        is_dead = supervisor.record.exists() and not supervisor.is_running()
        return (
            *(() if self.process(PROVISIONER).is_running() else (PROVISIONER,)),
            *((SUPERVISOR,) if is_dead else ()),
        )

    @property
    def crash_loop_report(self) -> Path:
        """Where the supervisor writes which processes end again and again."""
        return self.folder / "processes" / "crash-loops.json"

    def crash_loops(self) -> dict[str, int]:
        """Processes that end soon after each start, and how often in a row."""
        if not (self.process(SUPERVISOR).is_running() and self.crash_loop_report.exists()):
            return {}
        loops: dict[str, int] = json_text.loads(self.crash_loop_report.read_bytes())
        return loops

    def management(self) -> Management | None:
        """The broker's management API; None where it does not run, OSError where it fails."""
        from .broker import BrokerUnavailable, running_management  # seldom needed, and heavy

        try:
            return running_management(self.folder / "rabbitmq")
        except BrokerUnavailable as error:
            raise ConnectionError(str(error)) from error

    @property
    def operator_password(self) -> Path:
        """The file of the operator's password, once `taawon up` made one."""
        return self.folder / "secrets" / "operator.password"


def local_stack() -> Place:
    """The stack of this machine, for commands that only look at it."""
    return Place(stack_folder())
