"""The services as they are built, without anything to connect to."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI

from devkit.pytest_plugin import test_settings
from shared.kernel.service.app import build
from shared.kernel.service.spec import spec_of

NO_DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


@cache
def app_of(service: str) -> FastAPI:
    """The application of a service."""
    return build(spec_of(service), test_settings(service, NO_DATABASE))


def document_of(service: str) -> dict[str, Any]:
    """What the service says of itself in OpenAPI."""
    return dict(app_of(service).openapi())
