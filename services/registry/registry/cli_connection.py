"""What the commands need of the environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.kernel.commands.settings import settings_of
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer

from .local_operator import LOCAL_OPERATOR

__all__ = ["LOCAL_OPERATOR", "connected"]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Sessions, Sealer]]:
    """The registry's database and seal key; a missing setting is named."""
    settings = settings_of("registry")
    sealer = Sealer.from_settings(settings)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=2)
    try:
        yield make_sessions(engine), sealer
    finally:
        await engine.dispose()
