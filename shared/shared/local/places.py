"""The whole system on one machine by its names: where each part is, without the means to run it.

Commands that only look need no more, and start in a fraction of the time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .processes import Process

SERVICES = ("registry", "ideas", "funding", "notifications")
SEALING = frozenset({"registry", "notifications"})
"""The only services that hold the key of personal fields."""
PROVISIONER = "partners-provisioner"
VHOST = "taawon"
PARTNER_VHOST = "partners"
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
        return (self.folder / "ports").is_dir()

    def url(self, service: str) -> str:
        port = self.port_file(service)
        number = port.read_text().strip() if port.exists() else "0"
        return f"http://127.0.0.1:{number}"

    def port_file(self, service: str) -> Path:
        return self.folder / "ports" / service

    def process(self, name: str) -> Process:
        return Process(self.folder / "processes", name)

    @property
    def operator_password(self) -> Path:
        return self.folder / "secrets" / "operator.password"
