"""`taawon approvals`: list, hold, release and stop fan-outs; each decision has a reason."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import orjson
import typer
from rich.table import Table

from cli.client import OperatorClient, Token, Urls
from cli.steps import step
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json

SERVICE = "notifications"

app = typer.Typer(
    help="Fan-outs that are held, released or stopped. An operator decides.",
    no_args_is_help=True,
)
Subject = Annotated[
    UUID, typer.Argument(metavar="ID", parser=identifier, help="Id of the idea or call.")
]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("list")
def list_(urls: Urls = None, token: Token = None, json: Json = False) -> None:
    """List what is held or stopped now. Example: taawon approvals list"""
    rows = step(OperatorClient.find(urls, token), SERVICE, "GET", "/approvals?limit=200")
    if json:
        say_json(orjson.dumps(rows))
        return
    table = Table("subject", "state", "alerted", "by", "reason")
    for row in rows:
        title = f"{row['subject_id']} {row['title'] or ''}".strip()
        about = title if row["subject_id"] else "everything"
        table.add_row(about, row["state"], str(row["alerted"]), row["by"], row["reason"])
    Screen().print(table if rows else "Nothing is held or stopped.")


@app.command()
def hold(subject: Subject, reason: Reason, urls: Urls = None, token: Token = None) -> None:
    """Alert nobody of this idea or call until it is released.

    Example: taawon approvals hold 0d9c8f9e-… --reason "the cap is wrong"
    """
    _decide(f"/subjects/{subject}/approval", "held", reason, urls, token)


@app.command()
def release(subject: Subject, reason: Reason, urls: Urls = None, token: Token = None) -> None:
    """Alert whoever matches by now.

    Example: taawon approvals release 0d9c8f9e-… --reason "the number is right"
    """
    _decide(f"/subjects/{subject}/approval", "released", reason, urls, token)


@app.command()
def stop(subject: Subject, reason: Reason, urls: Urls = None, token: Token = None) -> None:
    """Alert nobody new of this idea or call, for good.

    Example: taawon approvals stop 0d9c8f9e-… --reason "published twice"
    """
    _decide(f"/subjects/{subject}/approval", "stopped", reason, urls, token)


@app.command("hold-everything")
def hold_everything(reason: Reason, urls: Urls = None, token: Token = None) -> None:
    """Alert nobody of anything until everything is released.

    Example: taawon approvals hold-everything --reason "the register is being corrected"
    """
    _decide("/approval", "held", reason, urls, token)


@app.command("release-everything")
def release_everything(reason: Reason, urls: Urls = None, token: Token = None) -> None:
    """End the hold on everything; what is held or stopped alone stays so.

    Example: taawon approvals release-everything --reason "the register is right"
    """
    _decide("/approval", "released", reason, urls, token)


def _decide(path: str, state: str, reason: str, urls: Urls, token: Token) -> None:
    """On the version that is in force now: where somebody else decides meanwhile, it is refused."""
    client = OperatorClient.find(urls, token)
    found = step(client, SERVICE, "GET", path)
    body = {"state": state, "reason": reason}
    made = step(client, SERVICE, "PUT", path, body, version=found["version"])
    about = made["subject_id"] or "everything"
    say(f"{about} is {made['state']}; alerted so far: {made['alerted']}")
