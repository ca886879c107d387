"""Sealed fields in the bodies of kept events: they are recognised by the end of their name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

SEALED = "_sealed"
"""The end of the name of every field that holds ciphertext."""
MAY_BE_SEALED = b'_sealed"'
"""A body without these bytes has no such field."""


def parsed(body: bytes) -> Any:
    """The body as JSON data; None where it is no JSON, and so no event that a consumer could read.

    This reads more than consumers accept, for an erasure must find a sealed field also where a key
    stands twice: the last value counts, and the others are dropped when the body is written anew.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the data, from the outside in; no recursion, for data may be very deep."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def sealed_fields(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each object that has a sealed field, with the name of the field."""
    for each in objects(value):
        for name, inner in each.items():
            if name.endswith(SEALED) and isinstance(inner, str):
                yield each, name


def with_fields(body: bytes, renew: Callable[[str], str]) -> bytes | None:
    """The body with `renew` applied to every sealed field; None where nothing changes."""
    data, changed = parsed(body), False
    for holder, name in list(sealed_fields(data)):
        new = renew(holder[name])
        if new != holder[name]:
            holder[name], changed = new, True
    return orjson.dumps(data) if changed else None
