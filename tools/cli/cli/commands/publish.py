"""`taawon preview` and `taawon publish`: look at an audience, then confirm what was seen."""

from __future__ import annotations

import json as json_files
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from cli.alerting import alerting_of, holds_on, in_words
from cli.client import OperatorClient, Token, Urls
from cli.steps import step
from shared.errors import Invalid
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json


class Kind(StrEnum):
    """What can be published."""

    CALL = "call"
    IDEA = "idea"


PLACES = {Kind.CALL: ("funding", "calls", "open"), Kind.IDEA: ("ideas", "ideas", "publish")}

What = Annotated[str, typer.Argument(help="call, idea, or file.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def preview(
    what: What,
    name: Annotated[str, typer.Argument(metavar="ID|FILE", help="Its id, or a file of criteria.")],
    urls: Urls = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Show whom a call, an idea or a file of criteria would reach, by region and sector.

    A file is JSON as POST /previews takes it: {"tracks": [{"criteria": {"regions":
    ["MA-09"]}}]}.

    Example: taawon preview call 0d9c8f9e-…
    """
    client = OperatorClient.find(urls, token)
    asked = (
        _read(Path(name))
        if what == "file"
        else _criteria_of(_kind(what), _find(client, what, name))
    )
    seen = step(client, "notifications", "POST", "/previews", asked)
    _show(seen, json=json)
    if not json and what != "file":
        _say_holds(client, name)


def publish(
    what: Annotated[Kind, typer.Argument(help="A draft call, or a submitted idea.")],
    name: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm the number that is seen without a question.")
    ] = False,
    urls: Urls = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Show the audience, ask, and open the call or publish the idea with the number confirmed.

    Should many more match by then, nobody is alerted before a person has looked again, and partners
    wait as well: it says so. What is published is the version that was seen.

    Example: taawon publish call 0d9c8f9e-… --yes
    """
    client = OperatorClient.find(urls, token)
    found = _find(client, what, name)
    seen = step(client, "notifications", "POST", "/previews", _criteria_of(what, found))
    if not json:
        say(found["title"]["fr"] or found["title"]["ar"])
        _show(seen, json=False)
        _say_holds(client, name)
    if not yes:
        typer.confirm(f"Alert these {seen['matched']} cooperatives?", abort=True, err=True)
    service, folder, move = PLACES[what]
    body = {"confirmed_audience": seen["matched"]}
    made = step(client, service, "POST", f"/{folder}/{name}/{move}", body, version=found["version"])
    alerting = alerting_of(client, name, made["version"])
    if json:
        shown = {"preview": seen, "published": made, "alerting": alerting}
        say_json(orjson.dumps(shown).decode())
        return
    say(f"{made['state']}, with {seen['matched']} recipients confirmed")
    say(in_words(name, alerting))


def _say_holds(client: OperatorClient, name: str) -> None:
    for line in holds_on(client, name):
        say(line)


def _kind(what: str) -> Kind:
    try:
        return Kind(what)
    except ValueError:
        raise Invalid(f"{what!r} can't be previewed: say call, idea or file") from None


def _find(client: OperatorClient, what: str, name: str) -> dict[str, Any]:
    service, folder, _ = PLACES[_kind(what)]
    found: dict[str, Any] = step(client, service, "GET", f"/{folder}/{name}")
    return found


def _criteria_of(kind: Kind, found: dict[str, Any]) -> dict[str, Any]:
    """What a fan-out of it would ask; an idea has one track: its territory and sectors."""
    if kind is Kind.CALL:
        return {"tracks": found["tracks"], "reference_on": found["reference_on"]}
    criteria = {name: found[name] for name in ("regions", "provinces", "sectors")}
    return {"tracks": [{"criteria": criteria}]}


def _read(path: Path) -> Any:
    try:
        return json_files.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} can't be read as JSON: {error}") from None


def _show(seen: dict[str, Any], *, json: bool) -> None:
    if json:
        say_json(orjson.dumps(seen).decode())
        return
    table = Table("", "matched", "eligible", "unknown", box=None, padding=(0, 2, 0, 0))
    for title, groups in (("Regions", seen["by_region"]), ("Sectors", seen["by_sector"])):
        table.add_row(Text(title, "bold"))
        for group in groups:
            both = group["eligible"] + group["unknown"]
            name = group["label"] or group["code"] or "unknown"
            table.add_row(f"  {name}", str(both), str(group["eligible"]), str(group["unknown"]))
    total = (str(seen[name]) for name in ("matched", "eligible", "unknown"))
    table.add_row(Text("All", "bold"), *total)
    Screen().print(table)
    for each in seen["excluding"]:
        say(each["says"])
