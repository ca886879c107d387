"""`taawon snapshot` and `taawon replay`: have a service send events to one queue again."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.client import OperatorClient, ServiceResponse, Token, Urls
from shared.errors import Conflict, DomainError, NotFound
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 60
"""How long to wait for a service that is starting again; the run goes on with it."""
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

Service = Annotated[str, typer.Argument(help="The service whose events they are.")]
Queue = Annotated[str, typer.Option("--to", help="One rebuildable queue: docs/events.md.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the run.")]
Json = Annotated[bool, typer.Option("--json", help="For machines; without a progress bar.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin it, and do not wait for its end.")]


class ServiceRefused(DomainError):
    """The service refused the request; the message is what it said."""


class UnknownService(NotFound):
    """No URL of this service is known."""


class NotAllSent(Conflict):
    """The run ended before all was sent."""


def snapshot(
    service: Service,
    to: Queue,
    reason: Reason,
    urls: Urls = None,
    token: Token = None,
    no_wait: NoWait = False,
    json: Json = False,
) -> None:
    """Send the present state of a service to a queue whose projection has to be built again.

    Empty the projection first, where it is to be emptied. Live events go on meanwhile, and a newer
    one wins. The exit code is 1 where the service refused the run or did not finish it.

    Example: taawon snapshot registry --to notifications.store_imported_cooperatives --reason "…"
    """
    request = {"kind": "snapshot", "queue": to, "reason": reason}
    _carry_out(service, request, OperatorClient.find(urls, token), wait=not no_wait, as_json=json)


def replay(
    service: Service,
    to: Queue,
    reason: Reason,
    since: Annotated[
        datetime | None,
        typer.Option(formats=_MOMENTS, help="From this moment on; UTC unless it says."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=_MOMENTS, help="Before this moment; now if not given."),
    ] = None,
    topics: Annotated[
        list[str] | None, typer.Option("--topic", help="Only these events; may be repeated.")
    ] = None,
    event: Annotated[
        UUID | None, typer.Option(parser=identifier, help="Only the event of this id.")
    ] = None,
    urls: Urls = None,
    token: Token = None,
    no_wait: NoWait = False,
    json: Json = False,
) -> None:
    """Send kept events to a queue once more, to fill a gap.

    Events are kept for TAAWON_OUTBOX_RETENTION_DAYS; where part of the range is gone, it says so.

    Example: taawon replay registry --to notifications.store_partner --since 2026-11-24 --reason "…"
    """
    request = {
        "kind": "log",
        "queue": to,
        "reason": reason,
        "since": _aware(since),
        "until": _aware(until),
        "topics": topics or [],
        "event_id": str(event) if event else None,
    }
    _carry_out(service, request, OperatorClient.find(urls, token), wait=not no_wait, as_json=json)


def _aware(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _carry_out(
    service: str, request: dict[str, Any], client: OperatorClient, *, wait: bool, as_json: bool
) -> None:
    if service not in client.urls:
        known = ", ".join(client.urls)
        raise UnknownService(f"no URL of {service!r} is known, only of {known}: name it with --url")
    run = asyncio.run(_follow(service, request, client, wait=wait, quiet=as_json))
    if as_json:
        say_json(orjson.dumps(run).decode())
    else:
        _show(run, wait=wait)
    if run["state"] not in {"finished", "running"}:
        raise NotAllSent(f"the run {run['run']} is {run['state']}: {run['error'] or 'by request'}")


async def _follow(
    service: str, request: dict[str, Any], client: OperatorClient, *, wait: bool, quiet: bool
) -> dict[str, Any]:
    run = _run_of(service, await client.create(service, "/replays", request))
    with _progress(quiet or not wait) as progress:
        task = progress.add_task(f"to {request['queue']}", total=run["total"] or None)
        while wait and run["state"] == "running":
            progress.update(task, completed=run["done"])
            run = await _look_again(service, run["run"], client)
        progress.update(task, completed=run["done"])
    return run


async def _look_again(service: str, run: str, client: OperatorClient) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        answer = await client.send(service, "GET", f"/replays/{run}")
        away = answer.status in {0, 429} or answer.status >= 500
        if not away or time.monotonic() > deadline:
            return _run_of(service, answer)


def _run_of(service: str, answer: ServiceResponse) -> dict[str, Any]:
    if not answer.ok:
        raise ServiceRefused(f"{service}: {answer.trouble}")
    assert isinstance(answer.body, dict)
    return answer.body


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total}"),
        TimeElapsedColumn(),
        console=Screen(stderr=True),
        disable=quiet,
    )


def _show(run: dict[str, Any], *, wait: bool) -> None:
    if not wait:
        say(f"run {run['run']} has begun: GET /replays/{run['run']}")
        return
    say(f"{run['sent']} messages ({run['done']} rows) to {run['queue']}: {run['state']}")
    if run["incomplete"]:
        say(f"incomplete: {run['incomplete']}", err=True)
