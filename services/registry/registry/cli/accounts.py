"""`taawon accounts`: the first operator, and the keys that sign tokens."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import Annotated

import typer

from registry import usecases

from .connection import connected

app = typer.Typer(
    help="The first operator account, and the keys that sign tokens.", no_args_is_help=True
)


@app.command()
def bootstrap(
    email: Annotated[str, typer.Option(help="E-mail that the operator signs in with.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Make the first operator; refused when there is one.

    Without --password-stdin a password is made and printed once.

    Example: taawon accounts bootstrap --email operator@example.org

    Example: taawon accounts bootstrap --email operator@example.org --password-stdin < secret
    """
    if "@" not in email:
        raise typer.BadParameter(f"--email: {email!r} is no e-mail address")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(18)
    asyncio.run(_bootstrap(email, password))
    if password_stdin:
        typer.echo("operator created", err=True)
    else:
        typer.echo("operator created; this password is shown only once:", err=True)
        typer.echo(password)


@app.command("rotate-signing-key")
def rotate_signing_key() -> None:
    """Sign tokens with a new key from now on; tokens of the old key stay valid until they expire.

    Example: taawon accounts rotate-signing-key
    """
    typer.echo(f"signing key {asyncio.run(_rotate())} is active")


async def _bootstrap(email: str, password: str) -> None:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        await usecases.bootstrap_operator(session, sealer, email=email, password=password)


async def _rotate() -> str:
    async with connected() as (sessions, sealer), sessions.begin() as session:
        key = await usecases.rotate_signing_key(session, sealer)
        return key.kid
