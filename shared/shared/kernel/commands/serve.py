"""`taawon serve`: one service process."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from shared.kernel.installed import installed_services


def serve(
    service: Annotated[str, typer.Argument(help="One of the installed services.")],
) -> None:
    """Run a service: its HTTP API, its consumers and its relay.

    Settings come from TAAWON_* variables; a missing one is named.

    Example: TAAWON_DATABASE_URL=… TAAWON_AMQP_URL=… TAAWON_JWKS_URL=… taawon serve ideas
    """
    if service not in installed_services():
        names = ", ".join(installed_services()) or "none"
        raise typer.BadParameter(f"no service {service!r} is installed here; installed: {names}")
    gc.disable()  # imports leave no garbage: looking for it takes a tenth of the start
    from shared.kernel.service.server import run  # imports the service, which `--help` needs not

    run(service)
