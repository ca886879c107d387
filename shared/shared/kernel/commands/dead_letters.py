"""`taawon dead-letters`: list the messages that a consumer gave up on, redrive or drop them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
import typer
from rich.table import Table

from shared.contracts.numbers import LARGEST_BIGINT
from shared.kernel.commands.numbers import whole_number
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json
from shared.kernel.data.database import Sessions
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging import dead_letters
from shared.kernel.messaging.publisher import Publisher

from .service_database import Json, Service, run_with_sessions
from .settings import settings_of

app = typer.Typer(
    help="Messages that a consumer gave up on. Listing them changes nothing.",
    no_args_is_help=True,
)
State = Literal["dead", "redriven", "dropped"]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
Number = Annotated[int, typer.Argument(parser=whole_number(1))]
Who = Annotated[str, typer.Option(help="Who decides; kept with the decision.")]


@app.command("list")
def list_(
    service: Service,
    state: Annotated[State, typer.Option(help="What was decided about them.")] = "dead",
    limit: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, LARGEST_BIGINT), help="How many at most, from the newest on."
        ),
    ] = 100,
    json: Json = False,
) -> None:
    """List dead letters. Example: taawon dead-letters list notifications"""

    async def work(sessions: Sessions) -> tuple[list[dict[str, Any]], int]:
        async with sessions() as session:
            found = await dead_letters.list_dead_letters(session, state=state, limit=limit)
            return [_row(row) for row in found], await dead_letters.count_dead_letters(
                session, state=state
            )

    rows, count = run_with_sessions(settings_of(service), work)
    if count > len(rows):
        say(f"The newest {len(rows)} of {count}; --limit {count} shows all.", err=True)
    if json:
        say_json(orjson.dumps(rows, default=str).decode())
        return
    table = Table("number", "queue", "topic", "error", "attempts", "last failed")
    for row in rows:
        table.add_row(*(str(row[k]) for k in ("id", "queue", "topic", "error", "attempts", "last")))
    Screen().print(table if rows else f"No {state} letters.")


@app.command()
def show(service: Service, number: Number) -> None:
    """Show one dead letter, headers and error included (personal fields are sealed)."""

    async def work(sessions: Sessions) -> dict[str, Any]:
        async with sessions() as session:
            row = await dead_letters.show(session, number)
            return {
                **_row(row),
                "headers": row.headers,
                "body": row.body.decode("utf-8", "replace"),
            }

    shown = run_with_sessions(settings_of(service), work)
    say_json(orjson.dumps(shown, default=str, option=orjson.OPT_INDENT_2).decode())


@app.command()
def redrive(service: Service, number: Number, who: Who, reason: Reason) -> None:
    """Send a dead letter to its queue once more; it takes effect exactly once.

    Example: taawon dead-letters redrive notifications 7 --who amina --reason "fixed in 1.2"
    """

    settings = settings_of(service, needs_broker=True)

    async def work(sessions: Sessions) -> None:
        publisher = Publisher(settings.amqp_url.get_secret_value(), name="dead-letters")
        try:
            async with sessions.begin() as session:
                await dead_letters.redrive(
                    session,
                    publisher,
                    number,
                    pause=settings.retry_delays[0],
                    who=who,
                    reason=reason,
                )
        finally:
            await publisher.close()

    run_with_sessions(settings, work)
    say(f"dead letter {number} is on its way")


@app.command()
def drop(service: Service, number: Number, who: Who, reason: Reason) -> None:
    """Decide that a dead letter will have no effect. The row stays, with who and why."""

    async def work(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await dead_letters.drop(session, number, who=who, reason=reason)

    run_with_sessions(settings_of(service), work)
    say(f"dead letter {number} is dropped")


def _row(row: DeadLetterRow | dead_letters.Listed) -> dict[str, Any]:
    return {
        "id": row.id,
        "queue": row.queue,
        "topic": row.topic,
        "message_id": row.message_id,
        "error": row.error,
        "attempts": row.attempts,
        "first": row.first_failed_at,
        "last": row.last_failed_at,
        "state": row.state,
        "decided_by": row.decided_by,
        "reason": row.decision_reason,
    }
