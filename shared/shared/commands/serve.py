"""`taawon serve`: one service process."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Annotated

import typer
import uvicorn

from shared import logs
from shared.installed import installed_services
from shared.service import build
from shared.settings import Settings
from shared.spec import spec_of


def serve(
    service: Annotated[str, typer.Argument(help="One of the installed services.")],
) -> None:
    """Run a service: its HTTP door, its reactions and its relay.

    Settings come from TAAWON_* variables; a missing one is named.

    Example: TAAWON_DATABASE_URL=… TAAWON_AMQP_URL=… TAAWON_JWKS_URL=… taawon serve ideas
    """
    if service not in installed_services():
        names = ", ".join(installed_services()) or "none"
        raise typer.BadParameter(f"no service {service!r} is installed here; installed: {names}")
    spec = spec_of(service)
    settings = spec.settings.load()
    logs.configure(service, settings.log_level)
    app = build(spec, settings)
    door = _door(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # Forwarded addresses are read by our own rule (`rates.client_address`).
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
