"""`taawon person`: requests of persons, opened by an operator on the registry's machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.table import Table

from registry.cli_connection import connected
from registry.settings import RegistrySettings
from shared import json_text
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.settings import own_settings
from shared.kernel.commands.terminal import say_json

from . import queries
from .api import RequestIn, RequestOut
from .domain import Ground, RequestKind
from .usecases import requests

app = typer.Typer(
    help="Requests of persons: to know what is held on them, to have it corrected or erased.",
    no_args_is_help=True,
)
Reference = Annotated[str, typer.Option(help="Number of the file that holds the request itself.")]
OnGround = Annotated[Ground, typer.Option(help="Who asks.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--file",
        exists=True,
        dir_okay=False,
        help='JSON with "email", "phone", "corrections"; a command line would be remembered.',
    ),
]
Accounts = Annotated[
    list[UUID] | None, typer.Option("--account", parser=identifier, help="Id of an account.")
]
Cooperatives = Annotated[
    list[UUID] | None,
    typer.Option("--cooperative", parser=identifier, help="Id of a cooperative."),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
Id = Annotated[UUID, typer.Argument(parser=identifier, help="Id of the request.")]


@app.command()
def access(
    reference: Reference,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    json: Json = False,
) -> None:
    """Ask every service what it holds on a person.

    Without a file or ids, e-mail and phone are asked for.

    Example: taawon person access --reference 2026/114
    """
    _open(RequestKind.ACCESS, reference, ground, file, account, cooperative, json=json)


@app.command()
def rectify(
    reference: Reference,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    json: Json = False,
) -> None:
    """Correct what is held on a person, in every service; register files no longer change it.

    Example: taawon person rectify --reference 2026/115 --file request.json
    """
    _open(RequestKind.RECTIFICATION, reference, ground, file, account, cooperative, json=json)


@app.command()
def erase(
    reference: Reference,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    json: Json = False,
) -> None:
    """Erase what is held on a person, in every service. It can't be undone.

    Example: taawon person erase --reference 2026/116 < request.json
    """
    _open(RequestKind.ERASURE, reference, ground, file, account, cooperative, json=json)


@app.command()
def status(request: Id, json: Json = False) -> None:
    """Show which services have answered a request.

    Example: taawon person status 0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11
    """
    _show(asyncio.run(_find(request)), json=json)


@app.command()
def report(request: Id) -> None:
    """Print everything that is held on a person who asked for access, as one JSON document.

    Example: taawon person report 0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11 > report.json
    """
    say_json(orjson.dumps(asyncio.run(_report(request)), option=orjson.OPT_INDENT_2).decode())


def _open(
    kind: RequestKind,
    reference: str,
    ground: Ground,
    file: Path | None,
    accounts: list[UUID] | None,
    cooperatives: list[UUID] | None,
    *,
    json: bool,
) -> None:
    has_ids = bool(accounts or cooperatives)
    given = _details(file, kind, has_ids=has_ids)
    body = {"kind": kind, "reference": reference, "ground": ground, **given}
    body |= {"account_ids": accounts or [], "cooperative_ids": cooperatives or []}
    try:
        wanted = RequestIn.model_validate(body)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _show(asyncio.run(_open_request(wanted)), json=json)


def _details(file: Path | None, kind: RequestKind, *, has_ids: bool) -> dict[str, Any]:
    """Who it is and what is right: from the file, else standard input, else prompts."""
    if file is not None:
        return _parsed(file.read_bytes())
    if not sys.stdin.isatty():
        text = sys.stdin.read()
        return _parsed(text.encode()) if text.strip() else {}
    names = [] if has_ids else ["email", "phone"]
    given: dict[str, Any] = {name: answer for name in names if (answer := _prompted(name))}
    if kind is RequestKind.RECTIFICATION:
        fields = ("president", "phone", "email")
        right = {name: answer for name in fields if (answer := _prompted(f"right {name}"))}
        given["corrections"] = right
    return given


def _prompted(name: str) -> str:
    return str(typer.prompt(f"{name} (empty: not known)", default="", show_default=False)).strip()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        given = json_text.loads(text)
    except ValueError:
        raise typer.BadParameter("the request is no JSON object") from None
    if not isinstance(given, dict):
        raise typer.BadParameter("the request is no JSON object")
    return given


async def _open_request(wanted: RequestIn) -> RequestOut:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        request = await requests.open_request(
            session,
            sealer,
            LOCAL_OPERATOR,
            wanted.kind,
            wanted.identifiers(),
            ground=wanted.ground,
            reference=wanted.reference,
            corrections=wanted.corrected_values(),
        )
        return RequestOut.of(request)


async def _find(request_id: UUID) -> RequestOut:
    async with connected() as (sessions, _), sessions() as session:
        found = await queries.find_request(session, request_id)
        return RequestOut.of(found.request, found.answers)


async def _report(request_id: UUID) -> dict[str, Any]:
    days = own_settings(RegistrySettings).person_report_days
    async with connected() as (sessions, sealer), sessions.begin() as session:
        return await requests.hand_out_report(
            session, sealer, LOCAL_OPERATOR, request_id, days=days
        )


def _show(request: RequestOut, *, json: bool) -> None:
    if json:
        say_json(request.model_dump_json(indent=2))
        return
    console = Screen()
    console.print(f"{request.kind} {request.request_id}: {request.state}, due {request.due_on}")
    console.print(
        f"{len(request.cooperative_ids)} cooperatives, {len(request.account_ids)} accounts"
    )
    table = Table("service", "answered", "rows")
    for answer in request.answers:
        counts = ", ".join(f"{name} {count}" for name, count in answer.counts.items())
        table.add_row(answer.service, f"{answer.answered_at:%Y-%m-%d %H:%M}", counts)
    for service in request.waiting_for:
        table.add_row(service, "waits", "")
    console.print(table)
