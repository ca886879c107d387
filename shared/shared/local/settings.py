"""The settings of a command that works on the database of a service."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

from shared.errors import NotFound
from shared.settings import MissingSettings, Settings

from .broker import running_databases, running_management
from .places import SEALING, VHOST, stack_folder
from .stack import Stack


class NotInstalled(NotFound):
    """This program knows nothing of the service: it would take its own data for that one's."""


def installed_services() -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group="taawon.services"))


def settings_of(service: str, *, needs_broker: bool = False, **given: Any) -> Settings:
    """Those of the environment; where it names no database, those of what runs on this machine.

    Nothing is started. Commands that send nothing need no broker: the relay of the running service
    does.
    """
    _require_installed(service)
    if not needs_broker:
        given = {"amqp_url": "amqp://unused", **given}
    here = {} if os.environ.get("TAAWON_DATABASE_URL") else _running_here(service, needs_broker)
    try:
        return Settings.load(service, **{**here, **given})
    except MissingSettings as missing:
        raise MissingSettings(
            f"{missing}\nSet them; or call this where `taawon up` runs the system, or in the"
            f" container of the service: docker compose exec {service} taawon …"
        ) from None


def _require_installed(service: str) -> None:
    installed = installed_services()
    if service not in installed:
        raise NotInstalled(
            f"{service} is not installed here, but {', '.join(sorted(installed)) or 'no service'}."
            f" Where that is a container: docker compose exec {service} taawon …"
        )


def _running_here(service: str, needs_broker: bool) -> dict[str, str]:
    """Empty where nothing of `taawon up` runs."""
    stack = Stack(stack_folder())
    databases = running_databases(stack.folder / "postgres") if stack.was_started() else None
    if databases is None:
        return {}
    known = {"database_url": databases.create(service)}
    if service in SEALING:
        known["seal_keys"] = stack.seal_key()
    if needs_broker and running_management(stack.folder / "rabbitmq") is not None:
        known["amqp_url"] = stack.broker.url_of(service, vhost=VHOST)
    return known
