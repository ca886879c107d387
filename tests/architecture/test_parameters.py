"""A number or a flag in an address is one as it is written, on every route of every service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, get_args

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import iter_route_contexts

from shared.kernel.installed import installed_services

from .services import app_of

NO_NUMBERS = ["5_0", "+5", " 5", "5 ", "٥", "५", "5.0", "1e2", "0x5", "--5", "-0", "- 5", "true"]
NO_FLAGS = ["1", "0", "True", "yes", "on", "t", "FALSE", " true"]
NO_MOMENTS = ["1756800000", "1756800000000", "1e9", "0"]


def fields_of(dependant: Dependant) -> Iterator[Any]:
    """The path and query parameters of a route and of what it depends on."""
    yield from (*dependant.path_params, *dependant.query_params)
    for each in dependant.dependencies:
        yield from fields_of(each)


def has(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(has(each, kind) for each in get_args(annotation))


def fields(service: str, kind: type) -> dict[str, Any]:
    """Every parameter of this type, by route and name."""
    return {
        f"{route.path} {field.alias}": field
        for route in iter_route_contexts(app_of(service).routes)
        if route.path and route.endpoint and route.methods
        for field in fields_of(get_dependant(path=route.path, call=route.endpoint))
        if has(field.field_info.annotation, kind)
    }


def taken(field: Any, text: str) -> bool:
    _, errors = field.validate(text, {}, loc=("query", field.alias))
    return not errors


@pytest.mark.parametrize("service", installed_services())
@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [(int, NO_NUMBERS, ["5", "005"]), (bool, NO_FLAGS, ["true", "false"])],
    ids=["number", "flag"],
)
def test_a_parameter_is_taken_in_one_spelling_alone(
    service: str, kind: type, wrong: list[str], right: list[str]
) -> None:
    for name, field in fields(service, kind).items():
        assert [text for text in wrong if taken(field, text)] == [], name
        assert all(taken(field, text) for text in right), name


@pytest.mark.parametrize("service", installed_services())
def test_a_moment_is_no_count_of_seconds(service: str) -> None:
    for name, field in fields(service, datetime).items():
        assert [text for text in NO_MOMENTS if taken(field, text)] == [], name
        assert taken(field, "2026-09-01T16:00:00+01:00"), name


def test_the_parameters_that_are_looked_at_are_all_there_are() -> None:
    numbers = [name for service in installed_services() for name in fields(service, int)]
    flags = [name for service in installed_services() for name in fields(service, bool)]

    assert {name.rpartition(" ")[2] for name in numbers} >= {"limit", "number"}
    assert {"/persons/requests open"} <= set(flags)
    assert len(numbers) >= 10
