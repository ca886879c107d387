"""`taawon partner ledger`: what a partner was sent, by which channel and when."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer
from pydantic import TypeAdapter
from rich.table import Table

from shared.contracts.numbers import LARGEST_EXACT
from shared.kernel.commands.numbers import whole_number
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.settings import settings_of
from shared.kernel.commands.terminal import say, say_json
from shared.kernel.data.database import Sessions, make_engine, make_sessions

from ..partner_ledger_csv import HEADER, cells_of
from ..queries import partner_ledger

SHOWN = 200
COLUMNS = ("position", "event", "recorded", "queue", "feed", "dropped")
_AS_JSON = TypeAdapter(partner_ledger.PartnerEntry)


def ledger(
    slug: Annotated[str, typer.Argument(help="The institution, such as fm5.")],
    after: Annotated[
        int,
        typer.Option(
            parser=whole_number(0, LARGEST_EXACT), help="Only events after this position."
        ),
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="All events, one JSON line each.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write all events to this file as a table.")
    ] = None,
) -> None:
    """Show every event of a partner's feed with the channels by which it went out, and when.

    It reads the database of notifications (TAAWON_DATABASE_URL, or what `taawon up` runs here).
    The terminal shows at most 200 events.

    Example: taawon partner ledger fm5 --csv fm5.csv
    """
    if table is not None:
        written = asyncio.run(_write(slug, after, table))
        say(f"{written} events written to {table}")
    elif as_json:
        asyncio.run(_print_json(slug, after))
    else:
        asyncio.run(_show(slug, after))


@asynccontextmanager
async def _connected(slug: str, after: int) -> AsyncIterator[Sessions]:
    settings = settings_of("notifications")
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        sessions = make_sessions(engine)
        async with sessions() as session:
            await partner_ledger.require_partner(session, slug, after=after)
        yield sessions
    finally:
        await engine.dispose()


async def _write(slug: str, after: int, path: Path) -> int:
    """Write the table whole or not at all; for an unknown slug no file is touched."""
    written = 0
    async with _connected(slug, after) as sessions:
        with _in_place_of(path) as file:
            lines = csv.writer(file)
            lines.writerow(HEADER)
            async for batch in partner_ledger.partner_batches(sessions, slug, after=after):
                lines.writerows(cells_of(entry) for entry in batch)
                written += len(batch)
    return written


@contextmanager
def _in_place_of(path: Path) -> Iterator[TextIO]:
    """A temporary file beside `path`, which replaces it when it is complete."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        # Such as /dev/stdout, which must not be replaced by a file.
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            yield file
        return
    beside = path.with_name(f".{path.name}.partial")
    try:
        with beside.open("w", newline="", encoding="utf-8-sig") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


async def _print_json(slug: str, after: int) -> None:
    async with _connected(slug, after) as sessions:
        async for batch in partner_ledger.partner_batches(sessions, slug, after=after):
            for entry in batch:
                say_json(_AS_JSON.dump_json(entry))


async def _show(slug: str, after: int) -> None:
    async with _connected(slug, after) as sessions, sessions() as session:
        entries = await partner_ledger.partner_entries(session, slug, after=after, limit=SHOWN + 1)
        open_gaps = await partner_ledger.count_open_gaps(session, slug)
    shown = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0))
    for entry in entries[:SHOWN]:
        shown.add_row(*_row(entry))
    Screen().print(shown)
    if len(entries) > SHOWN:
        say(f"more: --after {entries[SHOWN - 1].position}, or all of them with --csv FILE")
    if open_gaps:
        say(f"{open_gaps} events were dropped by the queue and have not gone out again")


def _row(entry: partner_ledger.PartnerEntry) -> tuple[str, ...]:
    deliveries = {delivery.channel: delivery for delivery in entry.channels}
    gap = entry.gap
    dropped = f"{gap.reason}{', again by ' + gap.closed_by if gap.closed_by else ''}" if gap else ""
    return (
        str(entry.position),
        entry.topic,
        _moment(entry.recorded_at),
        _times_sent(deliveries.get("amqp")),
        _times_sent(deliveries.get("feed")),
        dropped,
    )


def _times_sent(delivery: partner_ledger.ChannelDelivery | None) -> str:
    if delivery is None:
        return "-"
    times = f" x{delivery.times}" if delivery.times > 1 else ""
    unsure = f" +{delivery.unsure}?" if delivery.unsure else ""
    return f"{_moment(delivery.first_at) if delivery.first_at else 'yes'}{times}{unsure}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
