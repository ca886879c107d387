"""Every contract of the platform, imported: the one list that documents, checks and APIs use."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from . import __path__ as _folders
from .base import Event, all_events
from .persons import PersonAnswered

for _module in iter_modules(_folders):
    if _module.name != "catalogue":
        import_module(f"{__package__}.{_module.name}")

SAMPLES = Path(__file__).parent / "samples"
SCHEMAS = Path(__file__).parent / "schemas"

EVENTS: dict[str, type[Event]] = {
    event.topic: event for event in all_events() if event.__module__.startswith(f"{__package__}.")
}
"""The class of each event under its topic."""

ANSWERS: tuple[type[PersonAnswered], ...] = tuple(
    event for event in EVENTS.values() if issubclass(event, PersonAnswered)
)
"""The events by which services report that they have done their part of a person's request."""


@cache
def sample(topic: str) -> str:
    """An example of the event as it goes over the wire: made-up, and without any person."""
    return (SAMPLES / f"{topic}.json").read_text(encoding="utf-8")


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of the event as it is serialised."""
    return event.model_json_schema(mode="serialization")


def schema_text(event: type[Event]) -> str:
    """The schema as the text of its file in `SCHEMAS`; its keys are sorted, so diffs are small."""
    return json.dumps(schema(event), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
