"""Every whole number that comes from outside has bounds that its column and its readers can hold.

One that a service takes and another can't store would be tried again for ever, and would alert only
some of those whom it is for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import BigInteger, Integer, MetaData, Table

from shared.contracts.catalogue import EVENTS, schema
from shared.contracts.numbers import LARGEST_BIGINT, LARGEST_EXACT, LARGEST_INTEGER
from shared.kernel.installed import installed_services
from shared.kernel.service.spec import installed_specs

from .services import document_of

Number = tuple[str, dict[str, Any]]
"""The name of a whole number, and its schema."""


def numbers_in(node: Any, whole: dict[str, Any], name: str, seen: frozenset[str]) -> list[Number]:
    """Every whole number in a schema, whatever it is nested in; the name is that of its field."""
    if not isinstance(node, dict):
        return []
    if (reference := node.get("$ref")) is not None:
        if reference in seen:
            return []
        return numbers_in(resolved(reference, whole), whole, name, seen | {reference})
    found = [(name, node)] if node.get("type") == "integer" else []
    for each in children(node, name):
        found += numbers_in(each[1], whole, each[0], seen)
    return found


def children(node: dict[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    yield from node.get("properties", {}).items()
    for keyword in ("items", "additionalProperties", "contains"):
        yield name, node.get(keyword)
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from ((name, each) for each in node.get(keyword, []))


def resolved(reference: str, whole: dict[str, Any]) -> dict[str, Any]:
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def bounds_of(node: dict[str, Any]) -> tuple[int, int]:
    """The least and the greatest value; where there is none, more than anything holds."""
    nowhere = 10**30
    least = max(node.get("minimum", -nowhere), node.get("exclusiveMinimum", -nowhere - 1) + 1)
    most = min(node.get("maximum", nowhere), node.get("exclusiveMaximum", nowhere + 1) - 1)
    return int(least), int(most)


def tables() -> list[Table]:
    """Every table of every service."""
    installed_specs()
    values = [each for module in list(sys.modules.values()) for each in vars(module).values()]
    known = {id(each): each for each in values if isinstance(each, MetaData)}
    return [table for each in known.values() for table in each.tables.values()]


def columns() -> dict[str, int]:
    """The largest number that every column of a name holds, in whichever service it is."""
    held: dict[str, int] = {}
    for column in (each for table in tables() for each in table.columns):
        if isinstance(column.type, Integer):
            is_big = isinstance(column.type, BigInteger)
            most = LARGEST_BIGINT if is_big else LARGEST_INTEGER
            held[column.name] = min(most, held.get(column.name, most))
    return held


def numbers_of_bodies(service: str) -> list[Number]:
    document = document_of(service)
    return [
        number
        for operation in operations_of(document)
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for number in numbers_in(content.get("schema"), document, "body", frozenset())
    ]


def numbers_of_parameters(service: str) -> list[Number]:
    document = document_of(service)
    return [
        number
        for operation in operations_of(document)
        for parameter in operation.get("parameters", [])
        for number in numbers_in(parameter["schema"], document, parameter["name"], frozenset())
    ]


def operations_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from (each for each in methods.values() if isinstance(each, dict))


def unbounded(numbers: list[Number], largest: int) -> list[str]:
    held = columns()
    return sorted(
        {
            f"{name}: {least} to {most}"
            for name, node in numbers
            for least, most in [bounds_of(node)]
            for limit in [min(largest, held.get(name, largest))]
            if most > limit or least < -limit - 1
        }
    )


@pytest.mark.parametrize("topic", EVENTS)
def test_a_number_in_an_event_has_bounds_that_everybody_can_hold(topic: str):
    described = schema(EVENTS[topic])

    assert unbounded(numbers_in(described, described, "event", frozenset()), LARGEST_EXACT) == []


@pytest.mark.parametrize("service", installed_services())
def test_a_number_in_a_request_has_bounds_that_everybody_can_hold(service: str):
    assert unbounded(numbers_of_bodies(service), LARGEST_EXACT) == []


@pytest.mark.parametrize("service", installed_services())
def test_a_number_in_an_address_has_bounds_that_a_column_can_hold(service: str):
    assert unbounded(numbers_of_parameters(service), LARGEST_BIGINT) == []


def test_the_numbers_that_are_looked_at_are_all_there_are():
    events = [n for e in EVENTS.values() for n in numbers_in(schema(e), schema(e), "", frozenset())]
    bodies = [n for service in installed_services() for n in numbers_of_bodies(service)]

    assert {"members_total", "aggregate_version", "eligible", "value", "counts"} <= {
        name for name, _ in events
    }
    assert {"min_members", "percent", "jobs", "sdgs", "min_amount_centimes", "first"} <= {
        name for name, _ in bodies
    }
    assert columns()["members_total"] == LARGEST_INTEGER
