"""`taawon topology`: the exchanges and queues that events travel through."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from shared.kernel.commands.terminal import say
from shared.kernel.messaging import topology
from shared.kernel.service.spec import installed_consumers
from shared.kernel.settings import Settings

app = typer.Typer(help="Exchanges and queues of the broker.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Exchanges and queues of the broker."""


@app.command()
def apply(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Declare every exchange and queue of the installed services. Safe to repeat.

    Run it as an administrator of the vhost, before any service starts: an event published before
    its queues exist reaches nobody.

    Example: TAAWON_AMQP_URL=amqp://admin:…@host/ taawon topology apply
    """
    settings = Settings.load("topology", database_url="postgresql://unused")
    names = asyncio.run(
        topology.apply(
            settings.amqp_url.get_secret_value(), settings.retry_delays, installed_consumers()
        )
    )
    if not quiet:
        for name in names:
            say(name)
