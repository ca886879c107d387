"""Sealed fields inside kept events: found by the end of their name, renewed or taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

SEALED = "_sealed"
"""Every field that holds ciphertext is named so."""
MAY_BE_SEALED = b'_sealed"'
"""What a body contains that may hold such a field."""


def parsed(body: bytes) -> Any:
    """The body as JSON data; None where it is none: what no consumer could read holds no event.

    More is read here than is taken of a message: what is kept must be found by an erasure also
    where a key stands twice, and then the last counts and the others go.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the data, from the outside in; without recursion, however deep a forger."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def sealed_fields(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each object with the name of a field of it that holds ciphertext."""
    for each in objects(value):
        for name, inner in each.items():
            if name.endswith(SEALED) and isinstance(inner, str):
                yield each, name


def with_fields(body: bytes, renew: Callable[[str], str]) -> bytes | None:
    """The body with every sealed field renewed; None where nothing changes."""
    data, changed = parsed(body), False
    for holder, name in list(sealed_fields(data)):
        new = renew(holder[name])
        if new != holder[name]:
            holder[name], changed = new, True
    return orjson.dumps(data) if changed else None
