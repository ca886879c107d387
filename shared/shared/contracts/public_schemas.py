"""JSON Schemas of what partner institutions see of an event: its public fields and no others."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from .base import PUBLIC_MARK, Event

COMPONENTS: Final = "#/components/schemas/"
_REFERENCE = re.compile(f'"{COMPONENTS}([^"]+)"')


def public_schemas(event: type[Event]) -> dict[str, dict[str, Any]]:
    """The schema of `event.public_data()` under the name of its class, and of each shape in it."""
    made = event.model_json_schema(mode="serialization", ref_template=COMPONENTS + "{model}")
    shapes = {name: _public_part(shape) for name, shape in made.pop("$defs", {}).items()}
    found: dict[str, dict[str, Any]] = {event.__name__: _public_only(made)}
    waiting = [event.__name__]
    while waiting:
        for name in _REFERENCE.findall(json.dumps(found[waiting.pop()])):
            if name not in found:
                found[name] = shapes[name]
                waiting.append(name)
    return found


def _public_part(shape: dict[str, Any]) -> dict[str, Any]:
    """Of a shape with public fields those alone; one without any is shown whole or not at all."""
    fields = shape.get("properties", {}).values()
    return _public_only(shape) if any(PUBLIC_MARK in field for field in fields) else shape


def _public_only(shape: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: {keyword: value for keyword, value in field.items() if keyword != PUBLIC_MARK}
        for name, field in shape["properties"].items()
        if PUBLIC_MARK in field
    }
    return {**shape, "properties": fields, "required": list(fields)}
