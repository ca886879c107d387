"""Runs one service as a process: its settings, its socket, its application."""

from __future__ import annotations

import gc
import socket
from contextlib import suppress

from . import imports_without_rich  # noqa: F401  # isort: skip  # before anything that imports structlog

import uvicorn
from fastapi import FastAPI

from shared.kernel.observability import logs
from shared.kernel.settings import Settings
from shared.kernel.web.security_headers import security_headers

from .app import build
from .slow_clients import timed_protocol
from .spec import spec_of


def run(service: str) -> None:
    """Run the service until it is asked to end.

    Raises SystemExit where it can't start: because of its settings or its port, or as its log says.
    """
    spec = spec_of(service)
    gc.freeze()
    gc.enable()
    settings = spec.settings.load()
    logs.configure(service, settings.log_level)
    app = build(spec, settings)
    sockets = _sockets(settings)
    server = uvicorn.Server(config_of(app, settings))
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly end
        server.run(sockets)
    if not server.started:
        raise SystemExit(f"{service} can't start: its log says why.")


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        http=timed_protocol(settings.http_request_seconds),
        log_config=None,
        access_log=False,
        headers=security_headers(settings.hsts_seconds),
        server_header=False,
        # Forwarded addresses are read by our own middleware (`rate_limits.RateLimited`).
        proxy_headers=False,
        limit_concurrency=settings.http_connections,
        timeout_keep_alive=settings.http_keep_alive_seconds,
        timeout_graceful_shutdown=int(settings.graceful_seconds),
    )


def _sockets(settings: Settings) -> list[socket.socket]:
    """The sockets of the API and of the internal port, bound before anything else is started."""
    places = [("HTTP", settings.http_host, settings.http_port)]
    if settings.internal_port is not None:
        places.append(("INTERNAL", settings.internal_host, settings.internal_port))
    sockets: list[socket.socket] = []
    for name, host, port in places:
        try:
            sockets.append(bound(host, port))
        except OSError as error:
            for each in sockets:
                each.close()
            raise SystemExit(
                f"{settings.service} can't start: it can't listen on {host}, port {port}"
                f" ({error.strerror}).\n"
                f"  End what uses it, or set TAAWON_{name}_PORT and TAAWON_{name}_HOST to what is"
                " free."
            ) from None
    return sockets


def bound(host: str, port: int) -> socket.socket:
    """A socket for connections to this address, whose answers leave at once. Raises OSError.

    asyncio turns Nagle's algorithm off only for sockets that name TCP as their protocol. With it,
    the body of an answer waits 40 ms for the client's delayed acknowledgement of the headers.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
