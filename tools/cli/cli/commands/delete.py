"""`taawon delete`: take a draft away for good, of a call or an idea."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.client import OperatorClient, Token, Urls
from cli.steps import step
from shared.kernel.commands.terminal import say


class Draft(StrEnum):
    """What may be a draft."""

    CALL = "call"
    IDEA = "idea"


PLACES = {Draft.CALL: ("funding", "/calls"), Draft.IDEA: ("ideas", "/ideas")}


def delete(
    what: Annotated[Draft, typer.Argument(help="call or idea.")],
    name: Annotated[UUID, typer.Argument(metavar="ID", help="Its id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete it without a question.")] = False,
    urls: Urls = None,
    token: Token = None,
) -> None:
    """Delete a draft for good: a call of yours or, as an operator, any; an idea of yours.

    Nobody was alerted of a draft, so nobody hears of it. A call that has opened is cancelled, an
    idea that was submitted is withdrawn. What somebody changes meanwhile is not deleted.

    Example: taawon delete call 0d9c8f9e-…
    """
    service, folder = PLACES[what]
    client = OperatorClient.find(urls, token)
    found: dict[str, Any] = step(client, service, "GET", f"{folder}/{name}")
    say(f"{found['state']}: {found['title']['fr'] or found['title']['ar']}", err=True)
    if not yes:
        typer.confirm("Delete it for good?", abort=True, err=True)
    step(client, service, "DELETE", f"{folder}/{name}", version=found["version"])
    say(f"the draft of the {what} {name} is deleted")
