"""JSON is taken as it is written: bodies of requests refuse what they don't know, events ignore it.

A sender of events may be newer than its consumers, so that a topic may gain optional fields while
versions roll; whoever misspells a field of a request has to hear of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from fastapi.dependencies.utils import get_dependant
from fastapi.params import Form
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError

from shared.contracts import catalogue
from shared.contracts.base import Event
from shared.contracts.catalogue import EVENTS
from shared.contracts.request_body import RequestBody
from shared.kernel.installed import installed_services
from shared.kernel.messaging import decoding

from .services import app_of

FORMS = {"TokenForm": "OAuth lets clients send parameters that a server does not know."}
"""Bodies that are no JSON, and why they take unknown fields: all that a form has are texts."""


def bodies() -> dict[str, type[BaseModel]]:
    """The model of every body of every route, under the names of its service and itself."""
    return {
        f"{service} {model.__name__}": model
        for service in installed_services()
        for field in body_fields(service)
        for model in models_in(field.field_info.annotation)
        if not isinstance(field.field_info, Form)
    }


def body_fields(service: str) -> Iterator[Any]:
    for route in iter_route_contexts(app_of(service).routes):
        if route.path and route.endpoint and route.methods:
            yield from get_dependant(path=route.path, call=route.endpoint).body_params


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, and those that they are made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in get_args(annotation):
        yield from models_in(part)


BODIES = bodies()


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_a_request_is_strict_and_refuses_unknown_fields(name: str):
    model = BODIES[name]

    assert issubclass(model, RequestBody), f"let {model.__name__} be a RequestBody"
    config = model.model_config
    assert (config.get("strict"), config.get("extra")) == (True, "forbid"), (
        f"name RequestBody last among the bases of {model.__name__}"
    )


def test_bodies_are_found_however_deep():
    assert {"funding CallIn", "funding TrackIn", "funding CriteriaIn", "funding MinShareIn"} <= set(
        BODIES
    )
    assert {f"{service} ReplayIn" for service in installed_services()} <= set(BODIES)


def test_only_forms_are_no_request_bodies():
    fields = [field for service in installed_services() for field in body_fields(service)]
    forms = [field for field in fields if isinstance(field.field_info, Form)]

    assert {field.field_info.annotation.__name__ for field in forms} == set(FORMS)


def sample_of(kind: type[Event]) -> dict[str, Any]:
    """The sample of an event, at a moment that has come."""
    return {**json.loads(catalogue.sample(kind.topic)), "occurred_at": "2026-01-15T10:00:00Z"}


def read(kind: type[Event], data: dict[str, Any]) -> Event:
    """As a consumer reads it, from the service that the event names, if any."""
    inner = data.get("announcement", data)
    owner = inner["service"] if kind.is_generic() else kind.topic.partition(".")[0]
    topic = ".".join([owner, *kind.topic.split(".")[1:]])
    return decoding.parse(kind, topic, json.dumps(data).encode())


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in the data, with the way to it."""
    yield path, data
    if isinstance(data, dict | list):
        for name, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(value, (*path, name))


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


def guessed(path: tuple[Any, ...], value: Any) -> list[Any]:
    """What a lenient reader would take for the value; a detail of an announcement may be a text."""
    if isinstance(value, bool):
        return ["yes", "true", int(value)]
    if isinstance(value, int):
        return [True, float(value), *([] if path[-1] == "value" else [str(value)])]
    return []


@pytest.mark.parametrize("topic", EVENTS)
def test_no_type_in_an_event_is_guessed(topic: str):
    kind, data = EVENTS[topic], sample_of(EVENTS[topic])

    wrong = [(path, each) for path, value in places(data) for each in guessed(path, value)]

    assert wrong, "every event has a version"
    for path, value in wrong:
        with pytest.raises(ValidationError):
            read(kind, changed(data, path, value))


@pytest.mark.parametrize("topic", EVENTS)
def test_a_field_that_a_newer_sender_added_is_ignored_at_any_depth(topic: str):
    kind, data = EVENTS[topic], sample_of(EVENTS[topic])
    known = read(kind, data)

    for path, value in list(places(data)):
        if isinstance(value, dict) and path[-1:] != ("counts",):  # whose names are those of tables
            assert read(kind, changed(data, path, {**value, "added_later": 1})) == known
