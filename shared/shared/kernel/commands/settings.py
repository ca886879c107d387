"""The settings of a command that works on the database of a service."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar

from shared.kernel.installed import entry_of
from shared.kernel.settings import MissingSettings, Settings

SOURCES_GROUP = "taawon.settings_sources"
"""Where a package offers a `Source`: the settings of what it runs on this machine."""
Source = Callable[[str, bool], dict[str, str]]
"""Of this service, and whether the broker is needed; empty where nothing of it runs here."""
S = TypeVar("S", bound=Settings)


def settings_of(service: str, *, needs_broker: bool = False, **given: Any) -> Settings:
    """Those of the environment; where it names no database, those of what runs on this machine.

    Nothing is started. Commands that send nothing need no broker: the relay of the running service
    does. NotInstalled where the service is not here; MissingSettings says what is missing and where
    to call the command.
    """
    return _found(Settings, service, needs_broker=needs_broker, **given)


def own_settings(kind: type[S], *, needs_broker: bool = False, **given: Any) -> S:
    """As settings_of, with what the service of this class reads beside the kernel."""
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
    """What the first installed source knows that knows anything."""
    for entry in entry_points(group=SOURCES_GROUP):
        source: Source = entry.load()
        if found := source(service, needs_broker):
            return found
    return {}
