"""`taawon serve`: one service process."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from shared import logs
from shared.settings import Settings


def serve(
    service: Annotated[str, typer.Argument(help="registry, ideas, funding or notifications.")],
) -> None:
    """Run a service: its HTTP door, its reactions and its relay.

    Settings come from TAAWON_* variables; a missing one is named.

    Example: TAAWON_DATABASE_URL=… TAAWON_AMQP_URL=… TAAWON_JWKS_URL=… taawon serve ideas
    """
    found = {entry.name: entry for entry in entry_points(group="taawon.services")}
    if service not in found:
        names = ", ".join(sorted(found)) or "none"
        raise typer.BadParameter(f"no service {service!r} is installed here; installed: {names}")
    settings = Settings.load(service)
    logs.configure(service, settings.log_level)
    app: FastAPI = found[service].load()()
    uvicorn.run(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        # Forwarded addresses are read by our own rule (`rates.client_address`).
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.graceful_seconds),
    )
