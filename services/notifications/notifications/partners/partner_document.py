"""What a partner institution receives, as AsyncAPI 3: its queue over AMQP, its feed over HTTP."""

from __future__ import annotations

from typing import Any, Final

import orjson

from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS
from shared.contracts import catalogue
from shared.contracts.base import Event
from shared.contracts.public_schemas import COMPONENTS, public_schemas
from shared.kernel.messaging import wire

from .api.feeds import FeedItem, FeedOut
from .usecases.feed_delivery import REPLAY_HEADER
from .usecases.partner_queue import PARTNER_VHOST

Json = dict[str, Any]

EVENTS: Final[tuple[type[Event], ...]] = (*CALL_EVENTS, *IDEA_EVENTS)
"""Every event that enters feeds."""
ABOUT: Final = """\
What your institution receives once it has subscribed (`POST /subscriptions`): the same events under
the same ids by each way, in the order of your feed. `sequence` is the position in your feed; it has
no holes. An event may come more than once: keep the ids that you have seen. Ignore fields that you
do not know, for newer versions add some; whatever takes one away is a new type, `….v2`.

Money is in centimes, every moment has its zone, and texts are in French and Arabic."""
POSITION: Final = "42"
"""The position of the examples in a feed."""


def partner_document() -> Json:
    """The document, with an example of every event."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:taawon:partner",
        "defaultContentType": wire.CONTENT_TYPE,
        "info": {
            "title": "Taawon for partner institutions",
            "version": "1",
            "description": ABOUT,
            "license": {
                "name": "Apache 2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "servers": _servers(),
        "channels": {"partnerQueue": _queue(), "feed": _feed()},
        "operations": {
            "receiveFromQueue": _operation(
                "partnerQueue",
                "Receive one event at a time from your queue, and acknowledge it.",
                {"amqp": {"ack": True, "bindingVersion": "0.3.0"}},
            ),
            "readFeed": _operation(
                "feed",
                "Read the next page of your feed: pass `next` as `after`, even if it is empty.",
                {"http": {"method": "GET", "query": _QUERY, "bindingVersion": "0.3.0"}},
            ),
        },
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS}
            | {"FeedPage": _page()},
            "schemas": _schemas(),
            "securitySchemes": {
                "queueLogin": {
                    "type": "userPassword",
                    "description": "The user and the password that `POST /partner-queue` returns.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of your API client, from POST /token of the registry.",
                },
            },
        },
    }


def _servers() -> Json:
    return {
        "queue": {
            "host": "{host}:5672",
            "pathname": f"/{PARTNER_VHOST}",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "The broker; its virtual host for partners.",
            "variables": {"host": {"default": "localhost", "description": "Host of the broker."}},
            "security": [{"$ref": "#/components/securitySchemes/queueLogin"}],
        },
        "feed": {
            "host": "{host}",
            "protocol": "https",
            "description": "The service `notifications`, whose OpenAPI document says the rest.",
            "variables": {"host": {"default": "localhost", "description": "Host of the service."}},
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        },
    }


def _queue() -> Json:
    return {
        "address": "{queue}",
        "title": "Your queue",
        "description": "Bounded: what it drops shows as `gaps` of the feed, and can be sent again"
        " (`POST /partner-queue/replay`).",
        "parameters": {"queue": {"description": "The name that `GET /partner-queue` returns."}},
        "servers": [{"$ref": "#/servers/queue"}],
        "messages": {
            event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in EVENTS
        },
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                    "vhost": PARTNER_VHOST,
                },
                "bindingVersion": "0.3.0",
            }
        },
    }


def _feed() -> Json:
    return {
        "address": "/feed",
        "title": "Your feed",
        "description": "The same events as your queue, and longer.",
        "servers": [{"$ref": "#/servers/feed"}],
        "messages": {"FeedPage": {"$ref": "#/components/messages/FeedPage"}},
    }


_QUERY: Final[Json] = {
    "type": "object",
    "properties": {
        "after": {"type": "string", "description": "`next` of the page before."},
        "limit": {"type": "integer", "description": "Most events of the page."},
    },
}


def _operation(channel: str, summary: str, bindings: Json) -> Json:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": summary.partition(":")[0].partition(",")[0],
        "summary": summary,
        "bindings": bindings,
    }


def _message(event: type[Event]) -> Json:
    return {
        "name": event.topic,
        "title": event.__name__,
        "summary": _first_sentence(event),
        "contentType": wire.CONTENT_TYPE,
        "headers": {"$ref": f"{COMPONENTS}QueueHeaders"},
        "payload": {"$ref": f"{COMPONENTS}{event.__name__}"},
        "bindings": {"amqp": {"messageType": event.topic, "bindingVersion": "0.3.0"}},
        "examples": [
            {"name": "sample", "headers": _headers(event), "payload": _sample(event).public_data()}
        ],
    }


def _page() -> Json:
    example = {"items": [_item(event) for event in EVENTS[:1]], "next": POSITION, "gaps": []}
    return {
        "name": "feed-page",
        "title": "A page of your feed",
        "summary": "Events in order, where to go on, and what your queue lacks of them.",
        "contentType": wire.CONTENT_TYPE,
        "payload": {"$ref": f"{COMPONENTS}FeedPage"},
        "examples": [{"name": "sample", "payload": example}],
    }


def _schemas() -> Json:
    schemas: Json = {"QueueHeaders": _headers_schema()}
    for event in EVENTS:
        schemas |= public_schemas(event)
        schemas[f"{event.__name__}Item"] = _item_schema(event)
    page = FeedOut.model_json_schema(mode="serialization", ref_template=COMPONENTS + "{model}")
    shapes: Json = page.pop("$defs")
    del shapes[FeedItem.__name__]
    items = [{"$ref": f"{COMPONENTS}{event.__name__}Item"} for event in EVENTS]
    page["properties"]["items"]["items"] = {"oneOf": items}
    return schemas | shapes | {"FeedPage": page}


def _item_schema(event: type[Event]) -> Json:
    """The schema of an entry of the feed that is such an event."""
    made = FeedItem.model_json_schema(mode="serialization")
    fields = made["properties"] | {
        "type": {"type": "string", "const": event.topic},
        "data": {"$ref": f"{COMPONENTS}{event.__name__}"},
    }
    return {**made, "title": f"{event.__name__}Item", "properties": fields}


def _headers_schema() -> Json:
    texts = {
        f"{wire.PREFIX}specversion": "Version of CloudEvents.",
        f"{wire.PREFIX}id": "The id of the event; also the message id. A repeat has the same.",
        f"{wire.PREFIX}type": "The type of the event; also the AMQP property `type`.",
        f"{wire.PREFIX}source": "Who sends it.",
        f"{wire.PREFIX}time": "When it happened.",
        f"{wire.PREFIX}datacontenttype": "The content type of the body.",
        f"{wire.PREFIX}sequence": "Its position in your feed.",
        f"{wire.PREFIX}correlationid": "Quote it when you report something about the event.",
        "traceparent": "Its trace (W3C Trace Context).",
    }
    fields = {name: {"type": "string", "description": text} for name, text in texts.items()}
    replay = "The id of the replay that sends it once more; only then."
    return {
        "type": "object",
        "description": "Headers of the broker itself begin with `x-`.",
        "required": list(fields),
        "properties": {**fields, REPLAY_HEADER: {"type": "string", "description": replay}},
    }


def _headers(event: type[Event]) -> Json:
    sample = _sample(event)
    return {
        f"{wire.PREFIX}specversion": wire.SPEC_VERSION,
        f"{wire.PREFIX}id": str(sample.event_id),
        f"{wire.PREFIX}type": event.topic,
        f"{wire.PREFIX}source": f"{wire.SOURCE}/notifications",
        f"{wire.PREFIX}time": sample.occurred_at.isoformat(),
        f"{wire.PREFIX}datacontenttype": wire.CONTENT_TYPE,
        f"{wire.PREFIX}sequence": POSITION,
        f"{wire.PREFIX}correlationid": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }


def _item(event: type[Event]) -> Json:
    sample = _sample(event)
    item = FeedItem(
        id=sample.event_id,
        source=f"{wire.SOURCE}/notifications",
        type=event.topic,
        time=sample.occurred_at,
        sequence=POSITION,
        data=sample.public_data(),
    )
    made: Json = orjson.loads(item.model_dump_json())
    return made


def _sample(event: type[Event]) -> Event:
    return event.model_validate_json(catalogue.sample(event.topic))


def _first_sentence(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split())
