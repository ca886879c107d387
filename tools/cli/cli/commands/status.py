"""`taawon status`: the whole system in one table, a row for each service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from cli.client import OperatorClient, Token, Urls
from cli.diagnosis.notification_rules import AUDIENCE, REGISTER, audience_behind
from cli.diagnosis.observations import BrokerObservation, QueueObservation, ServiceObservation
from cli.observe import glance
from shared.kernel.admin.schemas import OutboxState, Status
from shared.kernel.commands.numbers import decimal
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json
from shared.spelling import without_controls

COLUMNS = (
    "service",
    "state",
    "version",
    "schema",
    "outbox",
    "dead",
    "consumers",
    "messages",
    "consumed",
)
WIDE = 120
"""Columns of a terminal that has room for the remarks beside the rest; else they stand below."""
Seen = tuple[tuple[ServiceObservation, ...], BrokerObservation]


def status(
    urls: Urls = None,
    token: Token = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    watch: Annotated[
        float,
        typer.Option(
            parser=decimal, help="Look again every so many seconds, until Ctrl-C; 0: once."
        ),
    ] = 0,
) -> None:
    """Show how the system stands: the services of this machine, or those named by --url.

    outbox: events that wait, and the age of the oldest; messages: ready + worked on, in the queues
    of the service's consumers; consumed: how many of the queues that it needs have a consumer. The
    last two need the broker's management API (TAAWON_RABBIT_MANAGEMENT_URL).

    It only shows: the exit code is 0 whatever it sees. For checks there is `taawon doctor`.

    Example: taawon status --watch 2
    """
    client = OperatorClient.find(urls, token)
    seen = asyncio.run(glance(client))
    if json:
        say_json(orjson.dumps(_plain(seen)).decode())
    elif watch:
        _keep_looking(seen, client, urls, token, every=watch)
    else:
        console = Screen()
        console.print(_table(seen, console.width))
        _say_what_is_missing(seen)


def _keep_looking(
    seen: Seen, client: OperatorClient, urls: Urls, token: Token, *, every: float
) -> None:
    """Until Ctrl-C. A token lives for minutes; where it is refused, the operator signs in again."""
    console = Screen()
    with Live(_table(seen, console.width), console=console) as live:
        try:
            while True:
                time.sleep(every)
                if any(one.refused for one in seen[0]):
                    client = OperatorClient.find(urls, token)
                seen = asyncio.run(glance(client))
                live.update(_table(seen, console.width))
        except KeyboardInterrupt:
            return


def _table(seen: Seen, width: int) -> Table:
    services, broker = seen
    wide = width >= WIDE
    columns = [Column(name, no_wrap=True) for name in COLUMNS]
    beside = [Column("besides")] if wide else []
    table = Table(*columns, *beside, box=None, padding=(0, 2 if wide else 1, 0, 0))
    remarks = {one.name: _besides(one, services) for one in services}
    for one in services:
        cells = (escape(one.name), *_cells(one), *_queue_cells(one, broker))
        shown = [*cells, *([remarks[one.name]] if wide else [])]
        table.add_row(*(Text.from_markup(without_controls(each)) for each in shown))
    if not wide:
        lines = (f"{escape(name)}: {text}" for name, text in remarks.items() if text)
        table.caption = Text.from_markup("\n".join(lines))
        table.caption_style, table.caption_justify = "", "left"
    return table


def _say_what_is_missing(seen: Seen) -> None:
    services, broker = seen
    for one in services:
        if one.up and one.status is None:
            say(f"{one.name} did not report more: {one.refused}", err=True)
    if broker.trouble:
        say(f"nothing is known of the queues: {broker.trouble}", err=True)


def _plain(seen: Seen) -> list[dict[str, Any]]:
    services, broker = seen
    return [
        {
            **asdict(one),
            "ready": is_ready(one),
            "status": one.status.model_dump(mode="json") if one.status else None,
            "queues": [
                {**asdict(queue), "ready": queue.ready} for queue in _queues_of(one, broker)
            ],
            "audience_behind": audience_behind(services) if one.name == AUDIENCE else None,
        }
        for one in services
    ]


def is_ready(one: ServiceObservation) -> bool:
    """Whether it answers and every check of its readiness passes; unknown checks do not pass."""
    return one.up and bool(one.checks) and all(one.checks.values())


def _cells(one: ServiceObservation) -> tuple[str, ...]:
    return (_state(one), *(_status_cells(one.status) if one.status else ("?",) * 5))


def _status_cells(status: Status) -> tuple[str, ...]:
    outbox, dead = status.outbox, status.dead_letters
    return (
        escape(status.version),
        _schema(status),
        _waiting(outbox) if outbox else "?",
        _alarming(sum(dead.values())) if dead is not None else "?",
        _consumers(status),
    )


def _schema(status: Status) -> str:
    if not status.database.answers:
        return "?"
    if status.revision == status.newest_revision:
        return "current"
    return f"[red]{escape(status.revision or 'none')}[/red]" if status.revision_known else "ahead"


def _waiting(outbox: OutboxState) -> str:
    quarantined = f" + [red]{outbox.quarantined} quarantined[/red]" if outbox.quarantined else ""
    oldest = f", {outbox.oldest_seconds:.1f} s" if outbox.pending else ""
    return f"{outbox.pending}{oldest}{quarantined}"


def _consumers(status: Status) -> str:
    if status.consumers.paused:
        return "[red]paused[/red]"
    return "consume" if status.consumers.consuming else "[red]not consuming[/red]"


def _queue_cells(one: ServiceObservation, broker: BrokerObservation) -> tuple[str, str]:
    if broker.trouble:
        return "?", "?"
    needed = len(one.status.consumers.queues) if one.status else 0
    if not needed:
        return "", ""
    queues = _queues_of(one, broker)
    consumed = sum(bool(queue.consumers) for queue in queues)
    ratio = f"{consumed}/{needed}"
    working = sum(queue.unacknowledged for queue in queues)
    return (
        f"{sum(queue.ready for queue in queues)} + {working}",
        ratio if consumed == needed else f"[red]{ratio}[/red]",
    )


def _queues_of(one: ServiceObservation, broker: BrokerObservation) -> list[QueueObservation]:
    """The queues of a service's consumers, in the order of their names."""
    wanted = set(one.status.consumers.queues) if one.status else set()
    return sorted((q for q in broker.queues if q.name in wanted), key=lambda queue: queue.name)


def _besides(one: ServiceObservation, services: Sequence[ServiceObservation]) -> str:
    if one.status is None:
        return ""
    remarks = [*_remarks(one.name, one.status.measured, audience_behind(services))]
    gaps = (one.status.counts or {}).get("feed_gaps")
    if gaps:
        remarks.append(f"{_alarming(gaps)} dropped by partner queues")
    return ", ".join(remarks)


def _remarks(name: str, measured: dict[str, float], behind: int | None) -> Iterator[str]:
    if name == REGISTER and "taawon_register_cooperatives" in measured:
        yield f"{measured['taawon_register_cooperatives']:,.0f} cooperatives"
    if name != AUDIENCE:
        return
    if behind is not None:
        yield f"audience {_alarming(behind)} behind"
    remarks = {
        "taawon_fanouts_running": "fan-outs run",
        "taawon_fanout_approvals{state=held}": "held",
        "taawon_subjects_without_fanout": "not alerted yet",
        "taawon_backfill_waiting_cooperatives": "waiting for backfill",
        "taawon_feed_waiting_entries{channel=amqp}": "feed entries wait",
        "taawon_feed_held_events": "events held back from partners",
    }
    for series, words in remarks.items():
        if measured.get(series):
            yield f"{measured[series]:.0f} {words}"
    oldest = measured.get("taawon_feed_oldest_age_seconds{channel=amqp}")
    if oldest:
        yield f"the oldest {oldest:.0f} s"


def _alarming(number: int) -> str:
    return f"[red]{number}[/red]" if number else "0"


def _state(one: ServiceObservation) -> str:
    if not one.up:
        return "[red]down[/red]"
    return "[green]ready[/green]" if is_ready(one) else "[red]not ready[/red]"
