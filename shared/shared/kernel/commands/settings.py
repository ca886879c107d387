"""The settings of a command that works on the database of a service."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from shared.kernel.installed import entry_of
from shared.kernel.settings import MissingSettings, Settings

SOURCES_GROUP = "taawon.settings_sources"
"""Entry points of packages that offer a `Source`."""
Source = Callable[[str, bool], dict[str, str]]
"""The settings of a service that runs on this machine, by its name and whether it needs the broker;
empty where it does not run here."""
S = TypeVar("S", bound=Settings)


def settings_of(service: str, *, needs_broker: bool = False, **given: Any) -> Settings:
    """A service's settings from the environment; where it names no database, from this machine.

    Nothing is started. Commands that send nothing need no broker: the relay of the running service
    sends what they record. Raises `NotInstalled` where the service is not here, `MissingSettings`
    with what is missing and where to call the command.
    """
    return _found(Settings, service, needs_broker=needs_broker, **given)


def own_settings(kind: type[S], *, needs_broker: bool = False, **given: Any) -> S:
    """As `settings_of`, with the settings that a service adds in its own class."""
    return _found(kind, kind.service_name, needs_broker=needs_broker, **given)


def _found(kind: type[S], service: str, *, needs_broker: bool, **given: Any) -> S:
    entry_of(service)
    if not needs_broker:
        given = {"amqp_url": "amqp://unused", **given}
    here = {} if os.environ.get("TAAWON_DATABASE_URL") else _running_here(service, needs_broker)
    try:
        return kind.load(service, **{**here, **given})
    except MissingSettings as missing:
        raise MissingSettings(
            f"{missing}\nSet them; or call this where `taawon up` runs the system, or in the"
            f" container of the service: docker compose exec {service} taawon …"
        ) from None


def _running_here(service: str, needs_broker: bool) -> dict[str, str]:
    """The settings of the first installed source that has any."""
    for entry in entry_points(group=SOURCES_GROUP):
        source: Source = entry.load()
        if found := source(service, needs_broker):
            return found
    return {}
