"""`taawon accounts`: the first operator, identities, failed sign-ins, the keys of tokens."""

from __future__ import annotations

import asyncio
import secrets
import sys
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from registry.cli_connection import connected
from registry.prompts import value_or_prompt
from shared import json_text
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.oidc import is_safe_url
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json

from . import queries
from .domain.sign_in_failures import FailedSignIns
from .usecases import accounts, tokens
from .usecases.identities import link_identity, unlink_identity

app = typer.Typer(
    help="The first operator, identities of another issuer, failed sign-ins, signing keys.",
    no_args_is_help=True,
)


Email = Annotated[
    str | None,
    typer.Option(help="E-mail of the account here; asked for if left out, which is safer."),
]


@app.command()
def bootstrap(
    email: Email = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Create the first operator; refused if there is one.

    The e-mail is asked for, or read from the first line of standard input. Without --password-stdin
    a password is generated and printed once.

    Example: taawon accounts bootstrap

    Example: taawon accounts bootstrap --password-stdin < e-mail-and-password
    """
    email = value_or_prompt("e-mail", email)
    if "@" not in email:
        raise typer.BadParameter("e-mail: give an address with an @")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(18)
    asyncio.run(_bootstrap(email, password))
    if password_stdin:
        say("operator created", err=True)
    else:
        say("operator created; this password is shown only once:", err=True)
        say(password)


@app.command("rotate-signing-key")
def rotate_signing_key() -> None:
    """Sign tokens with a new key from now on; tokens of the old key stay valid until they expire.

    Example: taawon accounts rotate-signing-key
    """
    say(f"signing key {asyncio.run(_rotate())} is active")


@app.command()
def link(
    email: Email = None,
    subject: Annotated[
        str | None,
        typer.Option(help="`sub` of that person's tokens at the issuer; asked for if left out."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="Address of the issuer.", envvar="TAAWON_OIDC_ISSUER")
    ] = None,
) -> None:
    """Link an account to an identity of another OpenID Connect issuer.

    E-mail and subject are asked for, or read from standard input, a line each, in this order.

    Example: taawon accounts link --issuer https://id.example.org
    """
    if issuer is not None and not is_safe_url(issuer):
        raise typer.BadParameter(f"--issuer: {issuer!r} is no https:// address")
    email, subject = value_or_prompt("e-mail", email), value_or_prompt("subject", subject)
    identity_id = asyncio.run(_link(email, issuer, subject))
    say(f"identity {identity_id} is linked")


@app.command()
def unlink(
    identity: Annotated[
        UUID, typer.Argument(parser=identifier, help="Its id, as `identities` shows it.")
    ],
    email: Email = None,
) -> None:
    """Unlink an identity: it gets no more tokens here.

    Example: taawon accounts unlink 0b8e6d9c-…
    """
    asyncio.run(_unlink(value_or_prompt("e-mail", email), identity))
    say(f"identity {identity} is unlinked")


@app.command()
def identities(
    email: Email = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """List what an account is linked to at other issuers.

    Example: taawon accounts identities
    """
    found = asyncio.run(_identities(value_or_prompt("e-mail", email)))
    if as_json:
        say_json(json_text.dumps(found))
        return
    table = Table("Identity", "Issuer", "Subject", "Linked")
    for each in found:
        table.add_row(*each.values())
    Screen().print(table)


@app.command("sign-ins")
def sign_ins(
    email: Email = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show whether somebody guesses the password of an account.

    Counted is what devices that never signed in to it failed at in the last 30 days. A new password
    ends the count.

    Example: taawon accounts sign-ins
    """
    failed = asyncio.run(_failed_sign_ins(value_or_prompt("e-mail", email)))
    if as_json:
        say_json(json_text.dumps(asdict(failed) if failed else None))
    elif failed is None:
        say("no unknown device failed to sign in")
    else:
        say(
            f"{failed.failures} failed sign-ins of unknown devices from {failed.networks} networks"
            f" since {failed.since:%Y-%m-%d %H:%M} UTC"
        )


async def _failed_sign_ins(email: str) -> FailedSignIns | None:
    async with connected() as (sessions, sealer), sessions() as session:
        account = await accounts.account_of_email(session, sealer, email)
        return await queries.failed_sign_ins(session, sealer, account)


async def _link(email: str, issuer: str | None, subject: str) -> UUID:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        account = await accounts.account_of_email(session, sealer, email)
        made = await link_identity(
            session, sealer, LOCAL_OPERATOR, account.id, issuer=issuer, subject=subject
        )
        return made.id


async def _unlink(email: str, identity: UUID) -> None:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        account = await accounts.account_of_email(session, sealer, email)
        await unlink_identity(session, LOCAL_OPERATOR, account.id, identity)


async def _identities(email: str) -> list[dict[str, str]]:
    async with connected() as (sessions, sealer), sessions() as session:
        account = await accounts.account_of_email(session, sealer, email)
        return [
            {
                "identity_id": str(each.id),
                "issuer": each.issuer,
                "subject": each.subject,
                "linked_at": each.linked_at.isoformat(timespec="seconds"),
            }
            for each in await queries.list_identities(session, sealer, account.id)
        ]


async def _bootstrap(email: str, password: str) -> None:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        await accounts.bootstrap_operator(session, sealer, email=email, password=password)


async def _rotate() -> str:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        key = await tokens.rotate_signing_key(session, sealer, LOCAL_OPERATOR)
        return key.kid
