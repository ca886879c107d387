"""What the commands need of the environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from registry.domain import CONSOLE
from shared.database import Sessions, make_engine, make_sessions
from shared.sealed import Sealer
from shared.settings import Settings

__all__ = ["CONSOLE", "connected"]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Sessions, Sealer]]:
    """The registry's database and seal key; a missing setting is named."""
    # Commands send nothing: the relay of the running service does.
    settings = Settings.load("registry", amqp_url="amqp://unused")
    sealer = Sealer.from_settings(settings)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=2)
    try:
        yield make_sessions(engine), sealer
    finally:
        await engine.dispose()
