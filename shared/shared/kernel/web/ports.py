"""Which paths are answered on which port: what describes and measures a service is not public.

The port is that of the socket that a request came by, so nothing that a caller sends changes it.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from shared.errors import NotFound

INTERNAL: Final = frozenset({"/metrics", "/openapi.json"})
"""Answered on the internal port alone."""
EVERYWHERE: Final = frozenset({"/healthz", "/readyz"})


class NoSuchPath(NotFound):
    """Nothing is at this path: see /openapi.json on the internal port for those that exist."""


def refuse_wrong_port(scope: Scope, internal_port: int | None) -> None:
    """Raise `NoSuchPath` for an internal path on the public port, and the other way round."""
    path = scope["path"]
    server = scope.get("server")
    is_internal = internal_port is not None and server is not None and server[1] == internal_port
    if path not in EVERYWHERE and is_internal is not (path in INTERNAL):
        raise NoSuchPath
