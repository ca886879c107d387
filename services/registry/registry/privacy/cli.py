"""`taawon person`: requests of persons, opened by an operator on the registry's machine."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
import typer
from pydantic import ValidationError
from rich.table import Table

from registry.cli_connection import connected
from registry.settings import RegistrySettings
from shared import json_text
from shared.errors import Invalid
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.settings import own_settings
from shared.kernel.commands.terminal import say, say_json
from shared.sentences import Sentence

from . import queries
from .api import RequestIn, RequestOut
from .domain.found_records import FoundRecord
from .domain.requests import Ground, RequestKind, RequestState
from .usecases import proposals, requests

COMMANDS: Final = {
    RequestKind.ACCESS: "access",
    RequestKind.RECTIFICATION: "rectify",
    RequestKind.ERASURE: "erase",
}
QUESTIONS: Final = {
    RequestKind.ACCESS: "Collect a report of all that is held on the person?",
    RequestKind.RECTIFICATION: "Correct what is held on the person?",
    RequestKind.ERASURE: "Erase what is held on the person? It can't be undone.",
}

app = typer.Typer(
    help="Requests of persons: to know what is held on them, to have it corrected or erased.",
    no_args_is_help=True,
)
Reference = Annotated[
    str | None, typer.Option(help="Number of the file that holds the request itself.")
]
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
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what is found, and store nothing.")]
Yes = Annotated[
    UUID | None,
    typer.Option("--yes", parser=identifier, help="Confirm this proposal without a question."),
]
Include = Annotated[
    list[UUID] | None,
    typer.Option("--include", parser=identifier, help="A shared record that is the person's."),
]
Leave = Annotated[
    list[UUID] | None,
    typer.Option("--leave", parser=identifier, help="A record that is left as it is."),
]
LeaveShared = Annotated[
    bool, typer.Option("--leave-shared", help="Leave every shared record that is not included.")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
Id = Annotated[UUID, typer.Argument(parser=identifier, help="Id of the request.")]


@app.command()
def access(
    reference: Reference = None,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    dry_run: DryRun = False,
    yes: Yes = None,
    include: Include = None,
    leave: Leave = None,
    leave_shared: LeaveShared = False,
    json: Json = False,
) -> None:
    """Ask every service what it holds on a person.

    Lists the records found, and asks; without a terminal it only proposes, and --yes confirms.
    Without a file or ids, e-mail and phone are asked for.

    Example: taawon person access --reference 2026/114
    """
    who = _Who(reference, ground, file, account or [], cooperative or [])
    decided = _Decided(include or [], leave or [], leave_shared)
    _run(RequestKind.ACCESS, who, decided, dry_run=dry_run, confirmed=yes, json=json)


@app.command()
def rectify(
    reference: Reference = None,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    dry_run: DryRun = False,
    yes: Yes = None,
    include: Include = None,
    leave: Leave = None,
    leave_shared: LeaveShared = False,
    json: Json = False,
) -> None:
    """Correct what is held on a person, in every service; register files no longer change it.

    Lists the records found, and asks; without a terminal it only proposes, and --yes confirms.

    Example: taawon person rectify --reference 2026/115 --file request.json
    """
    who = _Who(reference, ground, file, account or [], cooperative or [])
    decided = _Decided(include or [], leave or [], leave_shared)
    _run(RequestKind.RECTIFICATION, who, decided, dry_run=dry_run, confirmed=yes, json=json)


@app.command()
def erase(
    reference: Reference = None,
    ground: OnGround = Ground.PERSON,
    file: From = None,
    account: Accounts = None,
    cooperative: Cooperatives = None,
    dry_run: DryRun = False,
    yes: Yes = None,
    include: Include = None,
    leave: Leave = None,
    leave_shared: LeaveShared = False,
    json: Json = False,
) -> None:
    """Erase what is held on a person, in every service. It can't be undone.

    Lists the records found, and asks about each that others share; without a terminal it only
    proposes, and --yes confirms.

    Example: taawon person erase --reference 2026/116 < request.json
    """
    who = _Who(reference, ground, file, account or [], cooperative or [])
    decided = _Decided(include or [], leave or [], leave_shared)
    _run(RequestKind.ERASURE, who, decided, dry_run=dry_run, confirmed=yes, json=json)


@app.command()
def drop(request: Id) -> None:
    """Drop a proposal; nothing has come of it.

    Example: taawon person drop 0d9c8f9e-5b1f-4a52-9c1b-0f0f3a527c11
    """
    asyncio.run(_drop(request))
    say(f"the proposal {request} is dropped")


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


@dataclass(frozen=True)
class _Who:
    """Whom the arguments name, and who asks for what."""

    reference: str | None
    ground: Ground
    file: Path | None
    accounts: list[UUID]
    cooperatives: list[UUID]

    def request(self, kind: RequestKind) -> RequestIn:
        """The same with what comes from the file, standard input or prompts."""
        if self.reference is None:
            raise typer.BadParameter("say --reference, the number of the file of the request")
        given = _details(self.file, kind, has_ids=bool(self.accounts or self.cooperatives))
        body = {"kind": kind, "reference": self.reference, "ground": self.ground, **given}
        body |= {"account_ids": self.accounts, "cooperative_ids": self.cooperatives}
        try:
            return RequestIn.model_validate(body)
        except ValidationError as error:
            raise typer.BadParameter(_wrong(error)) from None


@dataclass(frozen=True)
class _Decided:
    """Records that are the person's, and records that are left; `others` are left as well if they
    are shared and not included.
    """

    include: list[UUID]
    leave: list[UUID]
    leave_others: bool = False

    def among(self, proposed: RequestOut) -> _Decided:
        """The same by ids alone, for the records of this proposal."""
        decided = {*self.include, *self.leave}
        others = [each.id for each in proposed.records if each.is_shared and each.id not in decided]
        return _Decided(self.include, self.leave + (others if self.leave_others else []))


def _wrong(error: ValidationError) -> str:
    """Which fields are wrong and why, without their values."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)


def _run(
    kind: RequestKind,
    who: _Who,
    decided: _Decided,
    *,
    dry_run: bool,
    confirmed: UUID | None,
    json: bool,
) -> None:
    """Propose, list, ask and confirm; what can't be asked waits for --yes."""
    if confirmed is not None:
        asked = asyncio.run(_find(confirmed))
        if asked.kind is not kind:
            raise Invalid(
                Sentence(
                    "{request_id} is a request for {asked}, not for {kind}",
                    request_id=confirmed,
                    asked=asked.kind,
                    kind=kind,
                )
            )
        _show(asyncio.run(_confirm(asked, decided.among(asked))), json=json)
        return
    proposed = asyncio.run(_propose(who.request(kind), stored=not dry_run))
    _show(proposed, json=json)
    if dry_run or json:
        return
    if not may_ask():
        say(
            f"Nothing has happened yet. To confirm: taawon person {COMMANDS[kind]} --yes"
            f" {proposed.request_id}, with --include or --leave for each shared record",
            err=True,
        )
        return
    _show(asyncio.run(_confirm(proposed, _ask(proposed, decided.among(proposed)))), json=json)


def may_ask() -> bool:
    """Whether somebody sits at the terminal who can answer."""
    return sys.stdin.isatty()


def _ask(proposed: RequestOut, decided: _Decided) -> _Decided:
    """Ask about each shared record, then about all; a no drops the proposal, and ends here."""
    include, leave = list(decided.include), list(decided.leave)
    for record in proposed.records:
        if record.is_shared and record.id not in {*include, *leave}:
            say(asyncio.run(_described(record)))
            is_theirs = typer.confirm("Others share it. Is this the person's?")
            (include if is_theirs else leave).append(record.id)
    count = len(proposed.records) - len(leave)
    if not typer.confirm(f"{QUESTIONS[proposed.kind]} ({count} records)"):
        asyncio.run(_drop(proposed.request_id))
        raise typer.Abort
    return _Decided(include, leave)


def _details(file: Path | None, kind: RequestKind, *, has_ids: bool) -> dict[str, Any]:
    """Who it is and what is right: from the file, else standard input, else prompts."""
    if file is not None:
        return _parsed(file.read_bytes())
    if not may_ask():
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


async def _propose(wanted: RequestIn, *, stored: bool) -> RequestOut:
    async with connected() as (sessions, sealer), sessions() as session:
        request = await proposals.propose_request(
            session,
            sealer,
            LOCAL_OPERATOR,
            wanted.kind,
            wanted.proposal(),
            ground=wanted.ground,
            reference=wanted.reference,
        )
        shown = RequestOut.of(request)
        if stored:
            await session.commit()
        return shown


async def _confirm(proposed: RequestOut, decided: _Decided) -> RequestOut:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        request = await requests.confirm_request(
            session,
            sealer,
            LOCAL_OPERATOR,
            proposed.request_id,
            include=decided.include,
            leave=decided.leave,
            expected_version=proposed.version,
        )
        return RequestOut.of(request)


async def _drop(request_id: UUID) -> None:
    async with connected() as (sessions, _), sessions.begin() as session:
        await proposals.drop_proposal(session, LOCAL_OPERATOR, request_id, expected_version=None)


async def _described(record: FoundRecord) -> str:
    async with connected() as (sessions, sealer), sessions() as session:
        held = await queries.who_holds(session, sealer, record)
    return f"{record.kind} {record.id}: " + ", ".join(str(each) for each in held.values())


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
    if request.state is RequestState.PROPOSED:
        console.print(_table_of_records(request))
        return
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


def _table_of_records(request: RequestOut) -> Table:
    table = Table("found", "id", "holds", "shared")
    for each in request.records:
        shared = "with others" if each.is_shared else ""
        table.add_row(each.kind, str(each.id), ", ".join(each.holds), shared)
    return table
