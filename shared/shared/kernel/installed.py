"""Which services are installed beside this kernel, by their names alone: nothing is imported.

A service is found by its entry point in the group `taawon.services`, which names its `ServiceSpec`
(`spec.py`). There is no list of services anywhere else.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from shared.errors import NotFound
from shared.sentences import Sentence

SERVICES_GROUP = "taawon.services"


class NotInstalled(NotFound):
    """This service is not installed here."""


def installed_services() -> tuple[str, ...]:
    """The names of all installed services, in alphabetical order."""
    return tuple(sorted(entry.name for entry in entry_points(group=SERVICES_GROUP)))


def entry_of(service: str) -> EntryPoint:
    """The entry point of a service, not loaded; raises `NotInstalled` where there is none."""
    for entry in entry_points(group=SERVICES_GROUP, name=service):
        return entry
    raise NotInstalled(
        Sentence(
            "{service} is not installed here, but {installed}. Where that is a"
            " container: docker compose exec {service} taawon …",
            service=service,
            installed=", ".join(installed_services()) or Sentence("no service"),
        )
    )
