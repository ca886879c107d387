"""`taawon approval`: what keeps a fan-out back, and holding, releasing or stopping it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from cli.client import OperatorClient, Token, Urls
from cli.steps import step
from shared.errors import Invalid
from shared.kernel.commands.terminal import say, say_json

EVERYTHING = "everything"


class Decision(StrEnum):
    """What can be decided about a fan-out."""

    HELD = "held"
    RELEASED = "released"
    STOPPED = "stopped"


def approval(
    subject: Annotated[str, typer.Argument(help="The id of a call or idea, or everything.")],
    decision: Annotated[
        Decision | None, typer.Argument(help="held, released or stopped; without: show it.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; kept with the decision, and needed for one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Decide without a question.")] = False,
    urls: Urls = None,
    token: Token = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the last decision about a fan-out, or decide: hold, release or stop it.

    It decides on what it has shown: where somebody else decides meanwhile, it is refused. Nobody is
    alerted while it is held; of what is stopped, nobody new ever is.

    Example: taawon approval 0d9c8f9e-… released --reason "the audience was checked" --yes

    Example: taawon approval everything held --reason "an import went wrong"
    """
    path = _path_of(subject)
    client = OperatorClient.find(urls, token)
    found = step(client, "notifications", "GET", path)
    if decision is not None:
        if reason is None:
            raise Invalid("say why, with --reason: it is kept with the decision", field="--reason")
        found = _decide(client, path, found, {"state": decision.value, "reason": reason}, yes=yes)
    if json:
        say_json(orjson.dumps(found).decode())
    else:
        say(_line(found))


def _path_of(subject: str) -> str:
    if subject == EVERYTHING:
        return "/approval"
    try:
        return f"/subjects/{UUID(subject)}/approval"
    except ValueError:
        raise Invalid(f"{subject!r} is no id of a call or idea, nor {EVERYTHING}") from None


def _decide(
    client: OperatorClient, path: str, seen: dict[str, Any], body: dict[str, str], *, yes: bool
) -> dict[str, Any]:
    if not yes:
        say(_line(seen), err=True)
        typer.confirm(f"Let it be {body['state']}?", abort=True, err=True)
    decided: dict[str, Any] = step(
        client, "notifications", "PUT", path, body, version=seen["version"]
    )
    return decided


def _line(found: dict[str, Any]) -> str:
    if found["state"] is None:
        return f"nobody has decided anything; {found['alerted']} cooperatives were alerted"
    return (
        f"{found['state']} since {found['decided_at']}: {found['reason']};"
        f" {found['alerted']} cooperatives were alerted"
    )
