"""`taawon migrate`: bring a service's database to the newest schema."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.kernel.commands.terminal import say
from shared.kernel.data import migrations
from shared.kernel.settings import Settings


def migrate(
    service: Annotated[str, typer.Argument(help="One of the installed services.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail when models and schema differ.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(help="For developers: write a new migration that makes the models' schema."),
    ] = None,
) -> None:
    """Run the migrations of a service on TAAWON_DATABASE_URL. Safe to repeat.

    Example: TAAWON_DATABASE_URL=postgresql+asyncpg://… taawon migrate ideas
    """
    url = Settings.load(service, amqp_url="amqp://unused").database_url.get_secret_value()
    if revision is not None:
        migrations.revision(service, url, revision)
        return
    if check:
        migrations.check(service, url)
        say(f"{service}: models and schema agree")
        return
    migrations.upgrade(service, url)
    say(f"{service}: schema is at {migrations.head(service)}")
