"""`taawon docs`: pages that are made from the code, so that they can't be wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from faststream.rabbit import RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas.constants import ExchangeType
from faststream.specification import AsyncAPI
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli.commands_page import commands_page
from shared.contracts import catalogue
from shared.contracts.base import Contract, Event, is_public
from shared.kernel.commands.terminal import say
from shared.kernel.messaging import topology
from shared.kernel.messaging.consumers import Consumer, Consumers
from shared.kernel.service.spec import installed_specs

app = typer.Typer(help="Pages and schemas that are made from the code.")

HEADER = """\
<!-- Made by `taawon docs`. Change the contracts and handlers, not this page. -->

# Events

What services publish to each other. An event is sent at least once and in any order between
aggregates; each consumer processes it once. `✓` marks what partner institutions may see. The topic
is the routing key on the exchange `taawon.events` and the CloudEvents `type`.

What a partner institution receives, by its queue and by its feed, is in
[asyncapi/partner.json](asyncapi/partner.json) (AsyncAPI 3); what a service consumes is beside it.
"""
COMMON = set(Event.model_fields)


@dataclass(frozen=True)
class QueueDescription:
    """A consumer of an event."""

    queue: str
    does: str


Folder = Annotated[Path, typer.Option(help="Folder that holds `docs/`.")]


@app.callback(invoke_without_command=True)
def docs(
    context: typer.Context,
    root: Folder = Path("."),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail with a diff where a page is old.")
    ] = False,
) -> None:
    """Write docs/events.md, docs/commands.md and docs/asyncapi/<service>.json.

    Example: taawon docs && git diff docs
    """
    if context.invoked_subcommand is not None:
        return
    _settle(pages(root), check=check)


@app.command()
def contracts(
    root: Folder = Path("."),
    accept: Annotated[
        bool, typer.Option("--accept", help="Store the schemas as they are now.")
    ] = False,
) -> None:
    """Compare the stored schemas of events, and what partners receive, with the code.

    Consumers and partners rely on them. A new optional field may be accepted. Whatever takes
    something away needs a new topic, `….v2`.

    Example: taawon docs contracts --accept
    """
    _settle(promises(root), check=not accept, remedy="run `taawon docs contracts --accept`")


def promises(root: Path) -> dict[Path, str]:
    """What others rely on, by its file: the schemas of events, and the documents for partners."""
    schemas = {
        catalogue.SCHEMAS / f"{topic}.json": catalogue.schema_text(event)
        for topic, event in catalogue.EVENTS.items()
    }
    return schemas | {
        root / "docs" / "asyncapi" / f"{name}.json": json_page(make())
        for spec in installed_specs()
        for name, make in spec.documents.items()
    }


def pages(root: Path) -> dict[Path, str]:
    """Every generated page and what it must say."""
    groups = installed_consumers()
    made = {
        root / "docs" / "events.md": events_page(groups),
        root / "docs" / "commands.md": commands_page(),
    }
    for group in groups:
        made[root / "docs" / "asyncapi" / f"{group.service}.json"] = asyncapi_page(group)
    return made


def installed_consumers() -> list[Consumers]:
    """The consumers of each installed service."""
    return [spec.consumers for spec in installed_specs() if spec.consumers is not None]


def events_page(groups: Iterable[Consumers]) -> str:
    """One section per event, one table per shape that events carry."""
    consumers = _consumers_by_topic(groups)
    events = [_event_section(event, consumers.get(event.routing_key(), [])) for event in _events()]
    shapes = [_shape_section(shape) for shape in _shapes()]
    return "\n".join([HEADER, *events, "## Shapes\n", *shapes]).rstrip() + "\n"


def asyncapi_page(group: Consumers) -> str:
    """What the service consumes, as AsyncAPI 3."""
    broker = RabbitBroker("amqp://localhost/")
    for consumer in group.consumers:
        _describe(broker, consumer)
    specification = AsyncAPI(
        broker, title=f"Taawon {group.service}", version="1", description=_about(group.service)
    )
    return json_page(json.loads(specification.to_specification().to_json()))


def json_page(document: dict[str, Any]) -> str:
    """The document as the text of its file; its keys are sorted, so diffs are small."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _settle(wanted: dict[Path, str], *, check: bool, remedy: str = "run `taawon docs`") -> None:
    stale = {path: text for path, text in wanted.items() if _read(path) != text}
    if check:
        for path, text in stale.items():
            say("".join(_diff(path, text)), err=True)
        if stale:
            names = ", ".join(path.name for path in stale)
            say(f"out of date: {names}; {remedy}", err=True)
            raise typer.Exit(1)
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _diff(path: Path, text: str) -> Iterator[str]:
    old, new = _read(path).splitlines(keepends=True), text.splitlines(keepends=True)
    return difflib.unified_diff(old, new, f"{path} (stored)", f"{path} (from the code)")


def _events() -> list[type[Event]]:
    return list(catalogue.EVENTS.values())


def _consumers_by_topic(groups: Iterable[Consumers]) -> dict[str, list[QueueDescription]]:
    consumers: dict[str, list[QueueDescription]] = {}
    for consumer in (consumer for group in groups for consumer in group.consumers):
        for topic in consumer.topics:
            described = QueueDescription(consumer.queue, _first_line(consumer.handler.__doc__))
            consumers.setdefault(topic, []).append(described)
    return consumers


def _event_section(event: type[Event], described: list[QueueDescription]) -> str:
    service = "any service" if event.is_generic() else event.topic.partition(".")[0]
    consumers = [f"- `{one.queue}`: {one.does}" for one in described] or ["- none yet"]
    lines = [
        f"## {event.__name__}\n",
        f"`{event.topic}` · published by **{service}** · [sample]({_sample_link(event)})\n",
        f"{_paragraphs(event.__doc__)}\n",
        "Consumers:\n",
        *consumers,
        "",
        *_fields_table(event, without=COMMON),
        "",
    ]
    return "\n".join(lines)


def _sample_link(event: type[Event]) -> str:
    return f"../shared/shared/contracts/samples/{event.topic}.json"


def _shape_section(shape: type[BaseModel]) -> str:
    lines = [f"### {shape.__name__}\n", f"{_paragraphs(shape.__doc__)}\n", *_fields_table(shape)]
    return "\n".join([*lines, ""])


def _fields_table(model: type[BaseModel], without: Iterable[str] = ()) -> list[str]:
    rows = ["| field | type | public | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in without:
            public = "✓" if is_public(field) else ""
            cells = (f"`{name}`", _type_name(field), public, field.description or "")
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def _type_name(field: FieldInfo) -> str:
    """The type as a reader of another language understands it."""
    name = _annotation_name(field.annotation)
    return name if field.is_required() else f"{name}, optional"


def _annotation_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotation_name(arguments[0])
    if origin is tuple:
        return f"list of {_annotation_name(arguments[0])}"
    if isinstance(annotation, type):
        return _linked(annotation) if issubclass(annotation, Contract) else annotation.__name__
    if origin is not None and all(isinstance(argument, str) for argument in arguments):
        return " / ".join(arguments)
    return " or ".join(_annotation_name(a) for a in arguments if a is not type(None)) or "any"


def _linked(shape: type[BaseModel]) -> str:
    return f"[{shape.__name__}](#{shape.__name__.lower()})"


def _shapes() -> list[type[BaseModel]]:
    """Every shape that an event carries, once each, in the order of their names."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[type[BaseModel]] = list(_events())
    while waiting:
        for field in waiting.pop().model_fields.values():
            for shape in _contracts_in(field.annotation):
                if shape.__name__ not in found:
                    found[shape.__name__] = shape
                    waiting.append(shape)
    return [found[name] for name in sorted(found)]


def _contracts_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, Contract):
        yield annotation
    for argument in get_args(annotation):
        yield from _contracts_in(argument)


def _describe(broker: RabbitBroker, consumer: Consumer) -> None:
    """A subscriber that is never started; the specification reads names and types from it."""

    async def consume(event: Any) -> None: ...

    consume.__annotations__ = {"event": reduce(or_, consumer.events), "return": None}
    broker.subscriber(
        RabbitQueue(consumer.queue, routing_key=consumer.topics[0]),
        RabbitExchange(topology.EVENTS, type=ExchangeType.TOPIC),
        title=consumer.queue,
        description=_first_line(consumer.handler.__doc__),
    )(consume)


def _about(service: str) -> str:
    return (import_module(service).__doc__ or "").strip()


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _paragraphs(text: str | None) -> str:
    parts = (text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts)
