"""`taawon outbox`: facts that were set aside because they could not be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from shared.database import Sessions, make_engine, make_sessions
from shared.messaging import parked
from shared.settings import Settings

app = typer.Typer(
    help="Facts set aside because they could not be sent. Looking at them changes nothing.",
    no_args_is_help=True,
)
T = TypeVar("T")
Service = Annotated[str, typer.Argument(help="The service whose TAAWON_* settings are set.")]


def _with_sessions(service: str, work: Callable[[Sessions], Awaitable[T]]) -> T:
    async def run() -> T:
        # Nothing is sent from here: the relay of the running service does.
        settings = Settings.load(service, amqp_url="amqp://unused")
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
            return [_row(row) for row in await parked.list_parked(session)]

    rows = _with_sessions(service, work)
    if json:
        typer.echo(orjson.dumps(rows, default=str).decode())
        return
    table = Table("event", "topic", "error", "attempts", "set aside")
    for row in rows:
        table.add_row(
            *(str(row[k]) for k in ("event_id", "topic", "error", "attempts", "parked_at"))
        )
    Console().print(table if rows else "Nothing is set aside.")


@app.command()
def release(
    service: Service,
    who: Annotated[str, typer.Option(help="Who decides; kept in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    events: Annotated[
        list[UUID] | None, typer.Argument(help="The facts; all, if none is named.")
    ] = None,
) -> None:
    """Let the relay try these facts again, once the cause is mended.

    Example: taawon outbox release funding --who amina --reason "rights given" 0199b1c2-…
    """

    async def work(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            return await parked.release(session, events or [], who=who, reason=reason)

    count = _with_sessions(service, work)
    typer.echo(f"{count} facts are on their way" if count else "Nothing is set aside.")


def _row(row: parked.Parked) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "topic": row.topic,
        "error": row.last_error,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "parked_at": row.parked_at,
    }
