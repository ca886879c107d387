"""`taawon trace`: the way of one event through all services, with times."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from cli.alerting import holds_on
from cli.client import OperatorClient, Token, Urls
from cli.event_trace import EventTrace, follow
from shared.errors import DomainError, NotFound
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json


class NoTrace(NotFound):
    """No service knows this id of an event, a correlation, a call or an idea."""


class NoServiceAnswered(DomainError):
    """No service reported anything: see `taawon doctor`."""


def trace(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="Of an event, a correlation, a call, an idea …")
    ],
    urls: Urls = None,
    token: Token = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Follow one event or request through all services: written, sent, processed or dead.

    To partners: "fed" into a feed, "handed over" by a channel for the first time.

    By the id of a call or an idea it follows all its events, and says what holds its alerts back.

    An event is "sent" when its confirmation was noted, so a quick consumer may be listed before.
    Sent events are deleted after TAAWON_OUTBOX_RETENTION_DAYS.

    Example: taawon trace 0199b1c2-…    (the X-Correlation-ID of any answer will do)
    """
    client = OperatorClient.find(urls, token)
    if client.token is None:
        raise NoServiceAnswered(f"{client.no_token}; give the token of an operator with --token")
    way = asyncio.run(follow(client, name))
    _refuse_empty(client, name, way)
    if json:
        shown = {"steps": way.steps, "silent": way.silent, "cut": way.cut}
        say_json(orjson.dumps(shown).decode())
        return
    _show(way)
    for line in holds_on(client, name):
        say(line)


def _refuse_empty(client: OperatorClient, name: str, way: EventTrace) -> None:
    if way.steps:
        return
    if way.silent:
        said = "; ".join(f"{service}: {why}" for service, why in way.silent.items())
        raise NoServiceAnswered(f"nothing is known of {name}, but not all answered ({said})")
    raise NoTrace(
        f"none of {', '.join(client.urls)} knows {name}: give the id of an event, a call or an"
        " idea, or the X-Correlation-ID of an answer"
    )


def _show(way: EventTrace) -> None:
    table = Table("after", "service", "", "event", "")
    table.title = f"from {way.steps[0].at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    table.title_justify = "left"
    for step in way.steps:
        about = Text(step.topic)
        about.append(f"\n{step.event_id}", "dim")
        after = f"{step.after_ms:,} ms"
        table.add_row(after, step.service, step.what, about, Text(step.detail))
    Screen().print(table)
    for service, why in way.silent.items():
        say(f"{service} did not answer ({why}): its part is missing", err=True)
    for service in way.cut:
        say(f"{service} knows more than is shown: ask for a single event by its id", err=True)
