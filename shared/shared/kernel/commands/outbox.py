"""`taawon outbox`: events that were set aside, and publishing the kept log again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.messaging import quarantine
from shared.kernel.messaging.republish import republish

from .settings import settings_of

app = typer.Typer(
    help="Events that could not be sent, and the kept log. Looking changes nothing.",
    no_args_is_help=True,
)
T = TypeVar("T")
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Service = Annotated[
    str, typer.Argument(help="Which service; TAAWON_* is of it, or `taawon up` runs it here.")
]


def _with_sessions(service: str, work: Callable[[Sessions], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = settings_of(service)
        engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
        try:
            return await work(make_sessions(engine))
        finally:
            await engine.dispose()

    return asyncio.run(run())


@app.command("list")
def list_(
    service: Service,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List what was set aside, the oldest first. Example: taawon outbox list funding"""

    async def work(sessions: Sessions) -> list[dict[str, Any]]:
        async with sessions() as session:
            return [_row(row) for row in await quarantine.list_quarantined(session)]

    rows = _with_sessions(service, work)
    if json:
        typer.echo(orjson.dumps(rows, default=str).decode())
        return
    table = Table("event", "topic", "error", "attempts", "set aside")
    for row in rows:
        table.add_row(
            *(str(row[k]) for k in ("event_id", "topic", "error", "attempts", "quarantined_at"))
        )
    Console().print(table if rows else "Nothing is set aside.")


@app.command()
def release(
    service: Service,
    who: Annotated[str, typer.Option(help="Who decides; kept in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    events: Annotated[
        list[UUID] | None, typer.Argument(help="The events; all, if none is named.")
    ] = None,
) -> None:
    """Let the relay try these events again, once the cause is mended.

    Example: taawon outbox release funding --who amina --reason "rights given" 0199b1c2-…
    """

    async def work(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            return await quarantine.release(session, events or [], who=who, reason=reason)

    count = _with_sessions(service, work)
    typer.echo(f"{count} events are on their way" if count else "Nothing is set aside.")


@app.command("republish")
def republish_log(
    service: Service,
    since: Annotated[
        datetime, typer.Option(formats=MOMENTS, help="Written since then; UTC unless it says.")
    ],
    who: Annotated[str, typer.Option(help="Who decides; kept in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    hours_before: Annotated[
        float, typer.Option(min=0, help="Begin so many hours earlier, to be on the safe side.")
    ] = 0,
) -> None:
    """Publish the kept log to every queue again, as after a broker lost its data.

    Under the same ids: whoever has dealt with an event does nothing. The log is as long as
    TAAWON_OUTBOX_RETENTION_DAYS.

    Example: taawon outbox republish funding --since 2026-11-24 --who amina --reason "broker lost"
    """
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)

    async def work(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            earliest = moment - timedelta(hours=hours_before)
            return await republish(session, earliest, who=who, reason=reason)

    typer.echo(f"{_with_sessions(service, work)} events are on their way again")


def _row(row: quarantine.QuarantinedRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "topic": row.topic,
        "error": row.last_error,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "quarantined_at": row.quarantined_at,
    }
