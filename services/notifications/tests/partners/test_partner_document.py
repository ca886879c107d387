"""What partners receive, by queue and by feed, is what their AsyncAPI document says."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from notifications.partners.partner_document import EVENTS, partner_document
from notifications.partners.usecases.feed_delivery import REPLAY_HEADER
from shared.contracts import catalogue

from .partners import fed, partner, subscribed

DOCUMENT = partner_document()
STORED = Path(__file__).parents[4] / "docs" / "asyncapi" / "partner.json"


def sample(event):
    return event.model_validate_json(catalogue.sample(event.topic))


def closed(schema):
    """The schema with no room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def validate(value, schema):
    """Fail unless the schema, by its place in the document, describes every field of the value."""
    components = closed(copy.deepcopy(DOCUMENT["components"]))
    Draft7Validator({**schema, "components": components}).validate(value)


def own_headers(received):
    """The headers of a message without those of the broker."""
    return {name: value for name, value in received.headers.items() if not name.startswith("x-")}


def message_of(topic):
    (found,) = (m for m in DOCUMENT["components"]["messages"].values() if m["name"] == topic)
    return found


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.topic)
def test_an_example_is_as_its_schema_says(event):
    message = message_of(event.topic)
    (example,) = message["examples"]

    validate(example["payload"], message["payload"])
    validate(example["headers"], message["headers"])


@pytest.mark.servers
async def test_what_a_queue_delivers_is_as_the_document_says(served):
    for event in map(sample, EVENTS):
        await fed(served.sessions, event)
        await served.deliver()
        (received,) = await served.read(1)

        message = message_of(event.topic)
        body = json.loads(received.body)
        validate(body, message["payload"])
        validate(own_headers(received), message["headers"])
        assert body == event.public_data()
        assert received.type == message["bindings"]["amqp"]["messageType"]
        assert received.content_type == message["contentType"]


@pytest.mark.servers
async def test_a_replay_names_itself_in_the_header_of_the_document(served):
    await fed(served.sessions, sample(EVENTS[0]))
    await served.deliver()
    await served.read(1)

    await served.request_replay(1)
    await served.deliver()
    (received,) = await served.read(1)

    assert REPLAY_HEADER in received.headers
    validate(own_headers(received), message_of(EVENTS[0].topic)["headers"])


async def test_a_page_of_the_feed_is_as_the_document_says(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, *map(sample, EVENTS))

    page = (await api.http.get("/feed", headers=partner(tokens))).json()

    assert [item["type"] for item in page["items"]] == [event.topic for event in EVENTS]
    validate(page, DOCUMENT["components"]["messages"]["FeedPage"]["payload"])


def test_what_partners_rely_on_is_stored_as_the_code_says():
    assert json.loads(STORED.read_text(encoding="utf-8")) == DOCUMENT, (
        "partners rely on this document. A new optional field: `taawon docs contracts --accept`;"
        " anything else needs a new topic."
    )
