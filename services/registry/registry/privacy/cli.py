"""`taawon person`: what a person asks for, by an operator on the machine of the registry."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from registry.cli_connection import connected
from registry.local_operator import LOCAL_OPERATOR
from registry.settings import RegistrySettings
from shared import json_text
from shared.kernel.commands.settings import own_settings

from . import queries
from .api import RequestIn, RequestOut
from .domain import Ground, RequestKind
from .usecases import requests

app = typer.Typer(
    help="What a person asks for: to know what is held, to have it corrected or erased.",
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
Accounts = Annotated[list[UUID] | None, typer.Option("--account", help="Id of an account.")]
Cooperatives = Annotated[
    list[UUID] | None, typer.Option("--cooperative", help="Id of a cooperative.")
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Id = Annotated[UUID, typer.Argument(help="Id of the request.")]


@app.command()
def access(
    reference: Reference,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    json: Json = False,
) -> None:
    """Ask every service what it holds on a person; without ids, e-mail and phone are asked for.

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
    """Correct what is held on a person, everywhere; register files change it no more.

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
    """Erase what is held on a person, everywhere; it can't be undone.

    Example: taawon person erase --reference 2026/116 < request.json
    """
    _open(RequestKind.ERASURE, reference, ground, file, account, cooperative, json=json)


@app.command()
def status(request: Id, json: Json = False) -> None:
    """Which services have answered a request.

    Example: taawon person status 0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11
    """
    _show(asyncio.run(_seen(request)), json=json)


@app.command()
def report(request: Id) -> None:
    """Everything that is held on a person who asked for access, as one JSON document.

    Example: taawon person report 0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11 > report.json
    """
    typer.echo(orjson.dumps(asyncio.run(_report(request)), option=orjson.OPT_INDENT_2).decode())


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
    given = _given(file, kind, has_ids=has_ids)
    body = {"kind": kind, "reference": reference, "ground": ground, **given}
    body |= {"account_ids": accounts or [], "cooperative_ids": cooperatives or []}
    try:
        wanted = RequestIn.model_validate(body)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _show(asyncio.run(_opened(wanted)), json=json)


def _given(file: Path | None, kind: RequestKind, *, has_ids: bool) -> dict[str, Any]:
    """From the file, else from standard input where it is no terminal, else asked for."""
    if file is not None:
        return _parsed(file.read_bytes())
    if not sys.stdin.isatty():
        text = sys.stdin.read()
        return _parsed(text.encode()) if text.strip() else {}
    names = [] if has_ids else ["email", "phone"]
    given: dict[str, Any] = {name: answer for name in names if (answer := _asked(name))}
    if kind is RequestKind.RECTIFICATION:
        fields = ("president", "phone", "email")
        right = {name: answer for name in fields if (answer := _asked(f"right {name}"))}
        given["corrections"] = right
    return given


def _asked(name: str) -> str:
    return str(typer.prompt(f"{name} (empty: not known)", default="", show_default=False)).strip()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        given = json_text.loads(text)
    except ValueError:
        raise typer.BadParameter("the request is no JSON object") from None
    if not isinstance(given, dict):
        raise typer.BadParameter("the request is no JSON object")
    return given


async def _opened(wanted: RequestIn) -> RequestOut:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        request = await requests.open_request(
            session,
            sealer,
            LOCAL_OPERATOR,
            wanted.kind,
            wanted.who(),
            ground=wanted.ground,
            reference=wanted.reference,
            corrections=wanted.corrected(),
        )
        return RequestOut.of(request)


async def _seen(request_id: UUID) -> RequestOut:
    async with connected() as (sessions, _), sessions() as session:
        seen = await queries.find_request(session, request_id)
        return RequestOut.of(seen.request, seen.answers)


async def _report(request_id: UUID) -> dict[str, Any]:
    days = own_settings(RegistrySettings).person_report_days
    async with connected() as (sessions, sealer), sessions.begin() as session:
        return await requests.hand_out_report(
            session, sealer, LOCAL_OPERATOR, request_id, days=days
        )


def _show(request: RequestOut, *, json: bool) -> None:
    if json:
        typer.echo(request.model_dump_json(indent=2))
        return
    console = Console()
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
