"""No event can be larger than consumers take: each is bounded by its contract, or divided."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
from pydantic import ValidationError

from shared import reference
from shared.contracts.announcement import (
    MOST_ANNOUNCEMENT_BYTES,
    MOST_DETAILS,
    AnnouncementPublished,
)
from shared.contracts.base import MOST_EVENT_BYTES, Event
from shared.contracts.catalogue import EVENTS, sample, schema
from shared.contracts.persons import PersonAnswered
from shared.contracts.registry import CooperativesImported
from shared.kernel.messaging import outbox

DIVIDED: Final = (CooperativesImported, PersonAnswered)
"""Made by `outbox.divided`, so each is as small as it has to be."""
BY_BYTES: Final = (AnnouncementPublished,)
"""Bounded as a whole, for any of its texts may be long."""
BOUNDED = [each for each in EVENTS.values() if not issubclass(each, (*DIVIDED, *BY_BYTES))]

ALL_CODES: Final = {
    "regions": [each.code for each in reference.regions()],
    "provinces": [each.code for each in reference.provinces()],
    "communes": [each.code for each in reference.communes()],
    "sectors": [each.code for each in reference.sectors()],
    "branches": [each.code for each in reference.branches()],
}
"""What lists of codes hold at most: the edges refuse unknown codes, and those named twice."""
ONE_CODE: Final = {"region", "province", "commune", "sector", "branch"}
FORMATS: Final = {"uuid": 36, "date": 10, "date-time": 32}
BYTES_OF_A_CHARACTER: Final = 4
REPEATS_OF_A_CHOICE: Final = 20
"""How often a list of choices names each, though once is enough."""


class Unbounded(Exception):
    """A field has no greatest size."""


class Sizes:
    """The most bytes that data of a schema have as JSON."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def of(self, part: dict[str, Any], name: str = "") -> int:
        if "$ref" in part:
            return self.of(self.root["$defs"][part["$ref"].rpartition("/")[2]], name)
        if name in ALL_CODES:
            return len(json.dumps(ALL_CODES[name]))
        if name in ONE_CODE:
            return 64
        if "type" not in part and "anyOf" in part:
            return max(self.of(each, name) for each in part["anyOf"])
        if choices := self.choices(part):
            return max(len(json.dumps(each)) for each in choices)
        return getattr(self, f"_{part['type']}")(part, name)

    def choices(self, part: dict[str, Any]) -> list[Any]:
        if "$ref" in part:
            part = self.root["$defs"][part["$ref"].rpartition("/")[2]]
        return list(part.get("enum", [part["const"]] if "const" in part else []))

    def _object(self, part: dict[str, Any], name: str) -> int:
        fields = part.get("properties", {})
        return 2 + sum(len(key) + 4 + self.of(value, key) for key, value in fields.items())

    def _array(self, part: dict[str, Any], name: str) -> int:
        item, choices = part["items"], self.choices(part["items"])
        most = len(choices) * REPEATS_OF_A_CHOICE if choices else bound(part, name, "maxItems")
        return 2 + most * (self.of(item, name) + 1)

    def _string(self, part: dict[str, Any], name: str) -> int:
        if "format" in part:
            return FORMATS[part["format"]] + 2
        if found := re.search(r"\[a-z[^]]*\]\{\d,(\d+)\}\$$", part.get("pattern", "")):
            return 3 + int(found[1])
        return 2 + BYTES_OF_A_CHARACTER * bound(part, name, "maxLength")

    def _integer(self, part: dict[str, Any], name: str) -> int:
        return max(len(str(bound(part, name, each))) for each in ("minimum", "maximum"))

    def _boolean(self, part: dict[str, Any], name: str) -> int:
        return len("false")

    def _null(self, part: dict[str, Any], name: str) -> int:
        return len("null")


def bound(part: dict[str, Any], name: str, keyword: str) -> int:
    for each in (keyword, f"exclusive{keyword.capitalize()}"):
        if each in part:
            return int(part[each])
    raise Unbounded(f"{name}: {keyword}")


@pytest.mark.parametrize("event", BOUNDED, ids=lambda event: event.topic)
def test_the_largest_event_of_a_contract_fits(event: type[Event]) -> None:
    root = schema(event)

    assert Sizes(root).of(root) <= MOST_EVENT_BYTES


def test_a_field_without_a_bound_is_found() -> None:
    with pytest.raises(Unbounded, match="text: maxLength"):
        Sizes({}).of({"type": "object", "properties": {"text": {"type": "string"}}})


def test_the_largest_announcement_fits_and_a_larger_one_is_none() -> None:
    details, too_many = [], None
    while too_many is None:
        event = AnnouncementPublished.model_validate(a_publication(details))
        details.append("é" * 8000)
        try:
            AnnouncementPublished.model_validate(a_publication(details))
        except ValidationError as error:
            too_many = error

    assert MOST_ANNOUNCEMENT_BYTES - 20_000 < len(outbox.row_for(event).body) <= MOST_EVENT_BYTES
    assert "fewer details" in str(too_many)


def a_publication(details: list[str]) -> dict[str, Any]:
    """An announcement with these texts as details, of as many tracks as they need."""
    event: dict[str, Any] = json.loads(sample(AnnouncementPublished.topic))
    (track,) = event["announcement"]["tracks"]
    shown = [{"code": "a", "value": 1, "shown": {"fr": text, "ar": "ا"}} for text in details]
    event["announcement"]["tracks"] = [
        {**track, "details": shown[start : start + MOST_DETAILS]}
        for start in range(0, max(len(shown), 1), MOST_DETAILS)
    ]
    return event
