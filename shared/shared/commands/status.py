"""`taawon status`: how every service stands, one row each."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from shared.operations.diagnosis import ServiceSeen
from shared.operations.doors import Doors, Token, Urls
from shared.operations.observe import see_services
from shared.operations.status import OutboxState, Status

COLUMNS = (
    "service",
    "up",
    "ready",
    "version",
    "schema",
    "outbox",
    "oldest",
    "dead",
    "gaps",
    "paused",
)


def status(
    urls: Urls = None,
    token: Token = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show how every service stands: of this machine, or those named by --url.

    Example: taawon status --url registry=https://registry.example.org --token …
    """
    doors = Doors.find(urls, token)
    seen = asyncio.run(see_services(doors))
    if json:
        typer.echo(orjson.dumps([_plain(one) for one in seen]).decode())
        return
    table = Table(*(Column(name, no_wrap=True) for name in COLUMNS), box=None, padding=(0, 2, 0, 0))
    for one in seen:
        table.add_row(one.name, *_cells(one))
    Console().print(table)
    for one in seen:
        if one.up and one.status is None:
            typer.echo(f"{one.name} did not tell more: {one.refused}", err=True)


def _plain(one: ServiceSeen) -> dict[str, Any]:
    told = one.status.model_dump(mode="json") if one.status else None
    return {**asdict(one), "ready": is_ready(one), "status": told}


def is_ready(one: ServiceSeen) -> bool:
    return one.up and bool(one.checks) and all(one.checks.values())


def _cells(one: ServiceSeen) -> tuple[str, ...]:
    first = (_word(one.up), _word(is_ready(one)))
    return first + (_told(one.status) if one.status else ("?",) * 7)


def _told(status: Status) -> tuple[str, ...]:
    outbox, dead = status.outbox, status.dead_letters
    current = status.revision == status.newest_revision
    return (
        status.version,
        "current" if current else f"[red]{status.revision}[/red]",
        _waiting(outbox) if outbox else "?",
        f"{outbox.oldest_seconds:.1f} s" if outbox and outbox.pending else "",
        str(sum(dead.values())) if dead is not None else "?",
        _gaps(status),
        "yes" if status.reactions.paused else "no",
    )


def _gaps(status: Status) -> str:
    """Events that partner queues dropped; nothing where a service has no such queues."""
    if status.counts is None:
        return "?"
    found = status.counts.get("feed_gaps")
    return "" if found is None else str(found)


def _waiting(outbox: OutboxState) -> str:
    parked = f" + [red]{outbox.parked} parked[/red]" if outbox.parked else ""
    return f"{outbox.pending}{parked}"


def _word(good: bool) -> str:
    return "[green]yes[/green]" if good else "[red]no[/red]"
