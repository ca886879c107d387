"""`taawon serve`: one service process."""

from __future__ import annotations

import socket
from contextlib import suppress
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
    door = _door(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # Of proxies the application decides itself, by its settings (`rates.RateLimited`).
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.graceful_seconds),
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # raised once more after an orderly end
        server.run([door])
    if not server.started:
        raise SystemExit(f"{service} can't start: its log says why.")


def _door(settings: Settings) -> socket.socket:
    """The socket that is listened on, taken before anything else is started."""
    host, port = settings.http_host, settings.http_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        raise SystemExit(
            f"{settings.service} can't start: it can't listen on {host}, port {port}"
            f" ({error.strerror}).\n"
            "  End what uses it, or set TAAWON_HTTP_PORT and TAAWON_HTTP_HOST to what is free."
        ) from None
    return door
