"""`taawon outbox`: list and release quarantined events, and publish the kept log again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.table import Table

from shared.kernel.commands.numbers import decimal
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json
from shared.kernel.data.database import Sessions
from shared.kernel.messaging import quarantine
from shared.kernel.messaging.republish import republish

from .identifiers import identifier
from .service_database import Json, Service, run_with_sessions
from .settings import settings_of

app = typer.Typer(
    help="Events that could not be sent, and the kept log. Listing changes nothing.",
    no_args_is_help=True,
)
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@app.command("list")
def list_(
    service: Service,
    json: Json = False,
) -> None:
    """List quarantined events, the oldest first. Example: taawon outbox list funding"""

    async def work(sessions: Sessions) -> list[dict[str, Any]]:
        async with sessions() as session:
            return [_row(row) for row in await quarantine.list_quarantined(session)]

    rows = run_with_sessions(settings_of(service), work)
    if json:
        say_json(orjson.dumps(rows, default=str).decode())
        return
    table = Table("event", "topic", "error", "attempts", "quarantined")
    for row in rows:
        table.add_row(
            *(str(row[k]) for k in ("event_id", "topic", "error", "attempts", "quarantined_at"))
        )
    Screen().print(table if rows else "Nothing is quarantined.")


@app.command()
def release(
    service: Service,
    who: Annotated[str, typer.Option(help="Who decides; kept in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    events: Annotated[
        list[UUID] | None,
        typer.Argument(parser=identifier, help="The events; all, if none is named."),
    ] = None,
) -> None:
    """Let the relay try quarantined events again, once the cause is removed.

    Example: taawon outbox release funding --who amina --reason "rights given" 0199b1c2-…
    """

    async def work(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            return await quarantine.release(session, events or [], who=who, reason=reason)

    count = run_with_sessions(settings_of(service), work)
    say(f"{count} events are on their way" if count else "Nothing is quarantined.")


@app.command("republish")
def republish_log(
    service: Service,
    since: Annotated[
        datetime,
        typer.Option(formats=MOMENTS, help="Only events written since then; UTC unless given."),
    ],
    who: Annotated[str, typer.Option(help="Who decides; kept in the audit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    hours_before: Annotated[
        float,
        typer.Option(parser=decimal, help="Begin so many hours earlier, to be on the safe side."),
    ] = 0,
) -> None:
    """Publish the kept log to every queue again, for instance after a broker lost its data.

    The ids stay the same: a consumer that has finished an event does nothing. The log reaches back
    as far as TAAWON_OUTBOX_RETENTION_DAYS.

    Example: taawon outbox republish funding --since 2026-11-24 --who amina --reason "broker lost"
    """
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)

    async def work(sessions: Sessions) -> int:
        async with sessions.begin() as session:
            earliest = moment - timedelta(hours=hours_before)
            return await republish(session, earliest, who=who, reason=reason)

    say(f"{run_with_sessions(settings_of(service), work)} events are on their way again")


def _row(row: quarantine.QuarantinedRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "topic": row.topic,
        "error": row.last_error,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "quarantined_at": row.quarantined_at,
    }
